#!/usr/bin/env python3
"""Proves that `qinfer batch` reads and writes OpenAI's batch lines, by the types of the `openai` package.

    python3 openai_batch.py path/to/qinfer MODEL

Rows are checked against the package's request type before they are handed over. Every answer must be a ChatCompletion under
strict validation with no key that the package does not know, its token counts and log-probabilities must add up, its text must
keep to the row's schema and stop texts; every refused row must be an error line that names the option. Exit 1 where one fails.
"""

import json
import math
import os
import subprocess
import sys
import tempfile

import pydantic
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.shared import ErrorObject

SCHEMA = {"type": "object", "additionalProperties": False, "required": ["mood", "score"],
          "properties": {"mood": {"type": "string", "enum": ["good", "bad"]},
                         "score": {"type": "integer", "minimum": 0, "maximum": 100}}}
QUESTION = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "Name a colour of the sky."}]
GOOD = {
    "plain": {"max_tokens": 12, "temperature": 0},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hi."}]}],
              "max_completion_tokens": 8, "temperature": 0},
    "drawn": {"max_tokens": 12, "temperature": 0.8, "top_p": 0.9, "seed": 7},
    "drawn-again": {"max_tokens": 12, "temperature": 0.8, "top_p": 0.9, "seed": 7},
    "logprobs": {"max_tokens": 12, "temperature": 0, "logprobs": True, "top_logprobs": 3},
    "stop": {"max_tokens": 40, "temperature": 0, "stop": ["e"], "logprobs": True},
    "schema": {"max_tokens": 60, "temperature": 0, "response_format": {
        "type": "json_schema", "json_schema": {"name": "mood", "strict": True, "schema": SCHEMA}}},
}
BAD = {"n": {"n": 2}, "tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
       "logit_bias": {"logit_bias": {"5": 1}}, "presence_penalty": {"presence_penalty": 1.0},
       "response_format.type": {"response_format": {"type": "json_object"}}}


def row(name, options):
    body = {"model": "any", "messages": QUESTION} | options
    pydantic.TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body)
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def unknown(value, place="body"):
    """Keys that the package's types do not have."""
    found = []
    if isinstance(value, pydantic.BaseModel):
        found += [f"{place}.{key}" for key in value.model_extra or {}]
        for key in type(value).model_fields:
            found += unknown(getattr(value, key), f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            found += unknown(item, place)
    return found


def check(name, line, failures):
    def expect(truth, what):
        if not truth:
            failures.append(f"{name}: {what}: {json.dumps(line, ensure_ascii=False)[:400]}")

    expect(line["error"] is None and line["response"]["status_code"] == 200, "is no answer")
    if line["error"] is not None:
        return None
    body = ChatCompletion.model_validate(line["response"]["body"], strict=False)
    ChatCompletion.model_validate_json(json.dumps(line["response"]["body"]), strict=True)
    expect(not unknown(body), f"has keys that the package does not know: {unknown(body)}")
    usage, choice = body.usage, body.choices[0]
    expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, "token counts do not add up")
    expect(usage.completion_tokens <= GOOD[name].get("max_tokens", 10**9), "is longer than asked for")
    expect(choice.finish_reason in ("stop", "length") and choice.message.role == "assistant", "ends oddly")
    wanted = GOOD[name].get("top_logprobs")
    if GOOD[name].get("logprobs"):
        tokens = choice.logprobs.content
        spelled = b"".join(bytes(token.bytes) for token in tokens)
        expect(spelled.decode().startswith(choice.message.content), "its tokens do not spell its text")
        expect(all(len(token.top_logprobs) == (wanted or 0) for token in tokens), "other counts of likeliest tokens")
        expect(all(token.logprob <= 0 for token in tokens), "a probability above 1")
        if wanted:
            # Greedy: the picked token is the likeliest.
            expect(all(math.isclose(token.logprob, token.top_logprobs[0].logprob) for token in tokens), "not greedy")
    else:
        expect(choice.logprobs is None, "tells probabilities unasked")
    for stop in GOOD[name].get("stop", []):
        expect(stop not in choice.message.content, "holds its stop text")
    if "response_format" in GOOD[name]:
        value = json.loads(choice.message.content)
        expect(set(value) == {"mood", "score"} and value["mood"] in ("good", "bad") and 0 <= value["score"] <= 100,
               "is not of the schema")
    return choice.message.content


def main():
    qinfer, model = sys.argv[1:3]
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out.jsonl")
        with open(source, "w", encoding="utf-8") as file:
            for name, options in (GOOD | {f"bad {name}": options for name, options in BAD.items()}).items():
                file.write(json.dumps(row(name, options), ensure_ascii=False) + "\n")
        outcome = subprocess.run([qinfer, "batch", model, source, "--output", target], capture_output=True, text=True)
        if outcome.returncode != 2:
            failures.append(f"status {outcome.returncode}, expected 2 for failed rows: {outcome.stderr}")
        lines = {line["custom_id"]: line for line in map(json.loads, open(target, encoding="utf-8"))}
    texts = {name: check(name, lines[name], failures) for name in GOOD}
    if texts["drawn"] != texts["drawn-again"]:
        failures.append("the same seed gave two texts")
    for name in BAD:
        line = lines[f"bad {name}"]
        error = ErrorObject.model_validate(line["response"]["body"]["error"])
        if line["response"]["status_code"] != 400 or error.param != name or name not in error.message:
            failures.append(f"bad {name}: {line}")
    for failure in failures:
        print("FAIL", failure)
    for name, text in texts.items():
        print(f"{name}: {text!r}")
    print(f"{len(GOOD)} answers and {len(BAD)} refusals by the openai package's types, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
