#!/usr/bin/env python3
"""Chat templates and what transformers' apply_chat_template makes of conversations with them.

    python3 make.py            writes goldens.json beside this file
    python3 make.py --check    makes it anew and compares: exit 1 on a difference

Each template is written here anew, in the shape of a published one (named in its comment), with the markers and the
branches that matter: default system messages, tools that are never given, dates, trimming, refused roles.
"""

import json
import sys
from pathlib import Path

import jinja2
import tokenizers
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
IM = "{% for message in messages %}%s{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
LLAMA_TURN = "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
LLAMA_PROMPT = "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
ALTERNATE = "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"


def deepseek(system, ending):
    return (
        "{% set ns = namespace(system_prompt='', is_first=true) %}{%- for message in messages %}"
        "{%- if message['role'] == 'system' %}" + system + "{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}"
        "{%- for message in messages %}{%- if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{%- endif %}"
        "{%- if message['role'] == 'assistant' %}{% set content = message['content'] %}{% if '</think>' in content %}"
        "{% set content = content.split('</think>')[-1] %}{% endif %}"
        "{{ '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor %}"
        "{% if add_generation_prompt %}" + ending + "{% endif %}")


def mistral_with_system(where, opening, closing, answer):
    return (
        '{%- if messages[0]["role"] == "system" %}{%- set system_message = messages[0]["content"] %}'
        '{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}{{- bos_token }}'
        "{%- for message in loop_messages %}" + ALTERNATE + '{%- if message["role"] == "user" %}'
        "{%- if loop." + where + " and system_message is defined %}"
        '{{- "' + opening + '" + system_message + "\\n\\n" + message["content"] + "' + closing + '" }}{%- else %}'
        '{{- "' + opening + '" + message["content"] + "' + closing + '" }}{%- endif %}{%- else %}{{- ' + answer + " }}"
        "{%- endif %}{%- endfor %}")


TEMPLATES = {
    # HuggingFaceTB/SmolLM2-135M-Instruct
    "smollm2": IM.replace("%s", "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\\n' }}{% endif %}"),
    # Qwen/Qwen2.5-1.5B-Instruct: a branch for tools, which are not given
    "qwen2.5": "{%- if tools %}{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud.' }}{{- tools | tojson }}{%- else %}"
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}{%- endif %}{%- endif %}"
    + IM.replace("%s", ""),
    # Open models without a system message of their own
    "chatml": IM.replace("%s", ""),
    # meta-llama/Meta-Llama-3-8B-Instruct, as revised and as first published
    "llama3": "{% for message in messages %}{% if loop.index0 == 0 %}{{ bos_token }}{% endif %}" + LLAMA_TURN
    + "{% endfor %}{% if add_generation_prompt %}" + LLAMA_PROMPT + "{% endif %}",
    "llama3-first": "{% for message in messages %}{% if loop.index0 == 0 %}{{ bos_token }}{% endif %}" + LLAMA_TURN
    + "{% endfor %}" + LLAMA_PROMPT,
    # meta-llama/Llama-3.1-8B-Instruct
    "llama3.1": "{{- bos_token }}{%- if not date_string is defined %}{%- set date_string = '26 Jul 2024' %}{%- endif %}"
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system_message = '' %}{%- endif %}{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}"
    "{%- if tools %}{{- 'Environment: ipython\\n' }}{%- endif %}{{- 'Cutting Knowledge Date: December 2023\\n' }}"
    "{{- 'Today Date: ' + date_string + '\\n\\n' }}{{- system_message }}{{- '<|eot_id|>' }}{%- for message in messages %}"
    + LLAMA_TURN.replace("{{ ", "{{- ") + "{%- endfor %}{%- if add_generation_prompt %}" + LLAMA_PROMPT.replace("{{ ", "{{- ")
    + "{%- endif %}",
    # deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B, as it is now and as first published; DeepSeek-R1's joined system messages
    "deepseek-r1": deepseek("{% set ns.system_prompt = message['content'] %}", "{{ '<｜Assistant｜><think>\\n' }}"),
    "deepseek-r1-first": deepseek("{% set ns.system_prompt = message['content'] %}", "{{ '<｜Assistant｜>' }}"),
    "deepseek-joined": deepseek(
        "{% set is_first_sp = ns.is_first %}{% if is_first_sp %}{% set ns.system_prompt = message['content'] %}{% set ns.is_first = false %}"
        "{% else %}{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{% endif %}",
        "{{ '<｜Assistant｜><think>\\n' }}"),
    # mistralai/Mistral-7B-Instruct: v0.1, its variant with a space, v0.2 with a system message, v0.3
    "mistral-v0.1": "{{ bos_token }}{% for message in messages %}" + ALTERNATE
    + "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}",
    "mistral-v0.1-space": "{{ bos_token }}{% for message in messages %}" + ALTERNATE
    + "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}{{ message['content'] + eos_token + ' ' }}{% endif %}{% endfor %}",
    "mistral-v0.2": mistral_with_system("first", " [INST] ", " [/INST]", '" " + message["content"] + eos_token'),
    "mistral-v0.3": mistral_with_system("last", "[INST] ", "[/INST]", '" " + message["content"]|trim + eos_token'),
}

REFUSED = {
    # meta-llama/Llama-3.2-1B-Instruct asks the clock
    "llama3.2": "{{- bos_token }}{%- set date_string = strftime_now('%d %b %Y') %}{{- '<|start_header_id|>system<|end_header_id|>Cutting Knowledge Date: December 2023 ' + date_string }}",
    # Qwen/Qwen3-0.6B takes old thoughts out
    "qwen3": "{%- for message in messages %}{{- '<|im_start|>' + message.role + message.content.split('</think>')[-1] }}{%- endfor %}",
    "gemma": "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] }}{% endfor %}",
    "empty": "",
}

SYSTEM = {"role": "system", "content": "  You watch the Qubic network.\n"}
ASK = {"role": "user", "content": " How fast are the ticks? "}
ANSWER = {"role": "assistant", "content": "<think>\n7 s?\n</think>\n\n About 7 seconds. "}
AGAIN = {"role": "user", "content": "現在呢？ {{ not a template }}\n"}
CONVERSATIONS = {
    "user": [ASK], "system": [SYSTEM, ASK], "turns": [ASK, ANSWER, AGAIN], "system-turns": [SYSTEM, ASK, ANSWER, AGAIN],
    "ends-with-answer": [SYSTEM, ASK, ANSWER],
    "two-systems": [SYSTEM, {"role": "system", "content": "Be brief."}, ASK],
}


def goldens():
    result = {"templates": TEMPLATES, "refused": REFUSED, "conversations": CONVERSATIONS, "rendered": {}}
    for name, template in TEMPLATES.items():
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), bos_token="<s>", eos_token="</s>")
        tokenizer.chat_template = template
        rendered = result["rendered"][name] = {}
        for conversation, messages in CONVERSATIONS.items():
            for prompt in (False, True):
                try:
                    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
                except jinja2.exceptions.TemplateError:
                    text = None
                rendered[conversation + (" +prompt" if prompt else "")] = text
    return json.dumps(result, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    path = HERE / "goldens.json"
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if path.read_text() == goldens() else "goldens.json differs")
    path.write_text(goldens())
