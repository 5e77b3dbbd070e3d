"""Times llama.cpp as `qbench engine` times us: prints JSON, seconds of one repetition after a warm-up.

    python3 llamacpp.py MODEL.gguf THREADS PREFILL DECODE BATCH,BATCH,…

Tokens are random, the head runs for the positions that are asked for, nothing is sampled: only llama_decode counts.
"""

import ctypes
import json
import random
import resource
import sys
import time

import llama_cpp as L


def main(path, threads, prefill, decode, batches):
    quiet = L.llama_log_callback(lambda *_: None)
    L.llama_log_set(quiet, ctypes.c_void_p(0))
    L.llama_backend_init()
    began = time.perf_counter()
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    loaded = time.perf_counter() - began
    vocabulary = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    parameters = L.llama_context_default_params()
    parameters.n_ctx = max(prefill, max(batches) * (decode + 16)) + 64
    parameters.n_batch = parameters.n_ubatch = 512
    parameters.n_seq_max = max(batches)
    parameters.n_threads = parameters.n_threads_batch = threads
    parameters.kv_unified = True
    context = L.llama_init_from_model(model, parameters)
    memory = L.llama_get_memory(context)
    batch = L.llama_batch_init(max(512, max(batches)), 0, 1)
    draw = random.Random(1)

    def feed(rows):
        """rows: (token, position, sequence, wants logits)"""
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wanted
        if L.llama_decode(context, batch) != 0:
            sys.exit("llama_decode failed")
        L.llama_synchronize(context)

    def token():
        return draw.randrange(vocabulary)

    def read(count):
        L.llama_memory_clear(memory, True)
        rows = [(token(), p, 0, p == count - 1) for p in range(count)]
        began = time.perf_counter()
        for start in range(0, count, 512):
            feed(rows[start:start + 512])
        return time.perf_counter() - began

    def write(sequences):
        L.llama_memory_clear(memory, True)
        for s in range(sequences):
            feed([(token(), p, s, p == 7) for p in range(8)])
        began = time.perf_counter()
        for step in range(decode - 1):
            feed([(token(), 8 + step, s, True) for s in range(sequences)])
        return time.perf_counter() - began

    result = {"load": loaded}
    read(prefill)
    result[f"prefill {prefill}"] = read(prefill)
    for sequences in batches:
        write(sequences)
        result["decode" if sequences == 1 else f"decode ×{sequences}"] = write(sequences)
    result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), [int(n) for n in sys.argv[5].split(",")])
