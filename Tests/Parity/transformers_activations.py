"""The activations of a transformers decoder under the names of our trace layout (DESIGN.md, "Trace layout").

Shared by Tests/Fixtures/models/make.py, which stores them as goldens, and trace_transformers.py, which compares
traces with them. Works for the families that share Llama's module tree: Llama, Qwen2, Mistral.
"""

import torch


def load(directory):
    """The checkpoint in fp32 with eager attention, whatever its stored dtype: the reference arithmetic."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


@torch.no_grad()
def capture(model, tokens):
    """One forward pass over `tokens` (a list of ints): {point: fp32 tensor}.

    Points: embed [T,H]; layers/NN/{resid_pre,attn_out,resid_mid,mlp_out,resid_post} [T,H];
    layers/NN/attn_pattern [heads,T,T]; final_norm [T,H]; logits [T,V].
    """
    points, handles = {}, []

    def keep(name, tensor):
        points[name] = tensor.detach()[0].to(torch.float32).contiguous().clone()

    def before(module, name):
        handles.append(
            module.register_forward_pre_hook(
                lambda _, args, kwargs: keep(name, args[0] if args else kwargs["hidden_states"]), with_kwargs=True
            )
        )

    def after(module, name, index=0):
        def hook(_, __, output):
            keep(name, output[index] if isinstance(output, tuple) else output)

        handles.append(module.register_forward_hook(hook))

    body = model.model
    after(body.embed_tokens, "embed")
    for number, layer in enumerate(body.layers):
        at = f"layers/{number:02d}"
        before(layer, f"{at}/resid_pre")
        after(layer.self_attn, f"{at}/attn_out")
        after(layer.self_attn, f"{at}/attn_pattern", index=1)
        before(layer.post_attention_layernorm, f"{at}/resid_mid")
        after(layer.mlp, f"{at}/mlp_out")
        after(layer, f"{at}/resid_post")
    after(body.norm, "final_norm")
    try:
        output = model(input_ids=torch.tensor([tokens]), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    keep("logits", output.logits)
    return points


@torch.no_grad()
def greedy(model, tokens, count):
    """`count` greedy tokens without stopping at EOS, each from a full forward pass (no cache),
    and the smallest margin between the best and the second logit: below it, tokens may legitimately differ."""
    tokens, margin = list(tokens), float("inf")
    start = len(tokens)
    for _ in range(count):
        logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
        best = torch.topk(logits, 2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        tokens.append(int(best.indices[0]))
    return tokens[start:], margin
