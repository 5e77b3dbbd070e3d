"""Times OpenVINO GenAI on a GGUF file as `qbench engine` times us: prints JSON, seconds of one repetition after a warm-up.

    python3 openvino_peer.py MODEL.gguf THREADS PREFILL DECODE BATCH,BATCH,…

OpenVINO's settings are its own for a CPU (activations quantized per group, keys and values in 8 bits). The file needs its
tokenizer within, though nothing is tokenized: the tokens are random.
"""

import json
import resource
import sys
import time

import numpy
import openvino
import openvino_genai


def main(path, threads, prefill, decode, batches):
    began = time.perf_counter()
    pipeline = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads, NUM_STREAMS=1)
    result = {"load": time.perf_counter() - began}
    draw = numpy.random.default_rng(1)

    def run(sequences, prompt, output):
        """Seconds to the first tokens, and from them to the last ones."""
        tokens = draw.integers(5, 32000, (sequences, prompt))
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = output
        config.ignore_eos, config.do_sample, config.apply_chat_template = True, False, False
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(tokens), openvino.Tensor(numpy.ones_like(tokens)))
        began = time.perf_counter()
        metrics = pipeline.generate(inputs, config).perf_metrics
        total = time.perf_counter() - began
        if metrics.get_num_generated_tokens() != sequences * output:
            sys.exit(f"OpenVINO wrote {metrics.get_num_generated_tokens()} tokens instead of {sequences * output}")
        first = metrics.get_ttft().mean / 1000
        return first, total - first

    run(1, prefill, 2)
    result[f"prefill {prefill}"] = run(1, prefill, 2)[0]
    for sequences in batches:
        run(sequences, 8, decode)
        result["decode" if sequences == 1 else f"decode ×{sequences}"] = run(sequences, 8, decode)[1]
    result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), [int(n) for n in sys.argv[5].split(",")])
