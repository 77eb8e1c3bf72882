#!/usr/bin/env python3
"""Writes tests/goldens/models/*.safetensors: small random models of each family, and what PyTorch makes of them.

    python3 -m venv venv && venv/bin/pip install torch==2.5.1 transformers==4.57.1
    venv/bin/python tests/goldens/models.py

Nothing of this is needed to build, run or test: tests/goldens/models.cpp reads the files. Each has the sizes in its
metadata under the library's names; `weight.NAME` in bf16, whose values are exact; tokens and labels [B, S]; and from
transformers in double, rounded to f32: logits, loss (the mean over labels that are not -100, without auxiliary losses),
`grad.NAME` of that loss and the auxiliary one; and `losses` of ten steps of AdamW, the first of which is `loss`.
"""
import os
import sys

sys.path.pop(0)  # tokenizers.py beside this would pass for the package
import torch
import transformers as tf
from safetensors.torch import save_file

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")


def interleaved(x, heads):
    """Rows (i, i + width / 2) of each head, which turn together in transformers, become neighbours."""
    width = x.shape[0] // heads
    return x.reshape(heads, 2, width // 2, -1).transpose(1, 2).reshape(x.shape)


def our_names(hf, family, sizes):
    """The tensors of transformers, of weights or of gradients, under the library's names."""
    out = {}
    renamed = {
        "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attention.wq",
        "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv", "self_attn.o_proj": "attention.wo",
        "self_attn.q_norm": "attention.q_norm", "self_attn.k_norm": "attention.k_norm",
        "self_attn.q_a_proj": "attention.wq_a", "self_attn.q_a_layernorm": "attention.q_norm",
        "self_attn.q_b_proj": "attention.wq_b", "self_attn.kv_a_proj_with_mqa": "attention.wkv_a",
        "self_attn.kv_a_layernorm": "attention.kv_norm", "self_attn.kv_b_proj": "attention.wkv_b",
        "mlp.gate": "moe.router.gate", "feed_forward.router": "moe.router.gate"}
    matrices = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}
    experts = {}
    for name, x in hf.items():
        if name in ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"):
            ours = {"model.embed_tokens.weight": "tok_embeddings.weight", "model.norm.weight": "norm.weight",
                    "lm_head.weight": "output.weight"}[name]
            if ours != "output.weight" or not sizes.get("tied"):
                out[ours] = x
            continue
        _, _, layer, rest = name.split(".", 3)
        at = f"layers.{layer}."
        stem = rest.removesuffix(".weight")
        parts = (stem + ".").split(".")
        if stem.endswith("e_score_correction_bias"):
            out[at + "moe.expert_bias"] = x
        elif stem == "feed_forward.experts.gate_up_proj":
            w1, w3 = x.transpose(1, 2).chunk(2, dim=1)
            out[at + "moe.experts.w1"], out[at + "moe.experts.w3"] = w1, w3
        elif stem == "feed_forward.experts.down_proj":
            out[at + "moe.experts.w2"] = x.transpose(1, 2)
        elif parts[1] == "experts":
            experts.setdefault(at + "moe.experts." + matrices[parts[3]], {})[int(parts[2])] = x
        elif parts[1] in ("shared_experts", "shared_expert"):
            out[at + "moe.shared_experts." + matrices[parts[2]] + ".weight"] = x
        elif parts[1] in matrices:
            out[at + "feed_forward." + matrices[parts[1]] + ".weight"] = x
        else:
            if family == "llama3" and stem in ("self_attn.q_proj", "self_attn.k_proj"):
                x = interleaved(x, sizes["num_heads" if "q_" in stem else "num_kv_heads"])
            out[at + renamed[stem] + ".weight"] = x
    for name, parts in experts.items():
        out[name] = torch.stack([parts[e] for e in range(len(parts))])
    return out


def scaling(kind, factor, length, **more):
    """rope_scaling of transformers, max_position_embeddings, and the same under our names."""
    config = {"rope_type": kind, "factor": float(factor), "original_max_position_embeddings": length}
    ours = {"rope_scaling": kind, "factor": factor, "original_len": length}
    names = {"low_freq_factor": "low_frequency", "high_freq_factor": "high_frequency", "beta_fast": "beta_fast",
             "beta_slow": "beta_slow", "mscale": "mscale", "mscale_all_dim": "mscale_all_dim"}
    for name, value in more.items():
        config[name] = float(value)
        ours[names[name]] = value
    return {"rope_scaling": config, "max_position_embeddings": factor * length}, ours


def train(model, losses, sizes):
    """The losses of ten steps of AdamW, with the balancing bias that follows the counts of each step (arXiv:2408.15664)."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    routers, chosen = [m for m in model.modules() if hasattr(m, "e_score_correction_bias")], {}
    for m in routers:
        m.register_forward_hook(lambda router, _, out: chosen.__setitem__(router, out[0]))
    out = []
    for _ in range(10):
        optimizer.zero_grad()
        _, loss, total = losses()
        total.backward()
        out.append(loss.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        for m in routers:
            counts = torch.bincount(chosen[m].flatten(), minlength=sizes["num_experts"]).double()
            delta = sizes["load_balance_coeff"] * torch.sign(counts.mean() - counts)
            m.e_score_correction_bias += (delta - delta.mean()).to(m.e_score_correction_bias.dtype)
    return torch.tensor(out)


LLAMA_SCALING = scaling("llama3", 4, 32, low_freq_factor=1, high_freq_factor=4)
YARN = scaling("yarn", 4, 32, beta_fast=4, beta_slow=1)
DEEPSEEK_YARN = scaling("yarn", 4, 32, beta_fast=4, beta_slow=1, mscale=0.7, mscale_all_dim=1.0)


def golden(name, family, config, model_class, sizes, rope=None, rows=2, length=20, aux=0.0):
    torch.manual_seed(sum(map(ord, name)))
    common = dict(
        vocab_size=sizes["vocab_size"], hidden_size=sizes["dim"], num_hidden_layers=sizes["num_layers"],
        num_attention_heads=sizes["num_heads"], num_key_value_heads=sizes["num_kv_heads"],
        rms_norm_eps=sizes["norm_eps"], rope_theta=float(sizes["rope_theta"]),
        tie_word_embeddings=bool(sizes.get("tied")), attn_implementation="eager", use_cache=False,
        pad_token_id=None, bos_token_id=None, eos_token_id=None, max_position_embeddings=256)
    if rope:
        common.update(rope[0])
        sizes = {**sizes, **rope[1]}
    # The mixtures of DeepSeek-V3 in transformers are written for float.
    dtype = torch.float if model_class is tf.DeepseekV3ForCausalLM else torch.double
    model = model_class(config(**{**common, **sizes.pop("hf")})).to(dtype)
    state = {}
    for key, x in list(model.named_parameters()) + [b for b in model.named_buffers() if "correction" in b[0]]:
        shape = x.shape
        if "norm" in key:
            value = 1 + 0.3 * torch.randn(shape)
        elif "correction" in key:
            value = 0.1 * torch.randn(shape)
        elif "embed" in key:
            value = 0.7 * torch.randn(shape)
        else:
            fan_in = shape[1] if len(shape) == 3 else shape[-1]
            value = torch.randn(shape) * (2.0 if "gate.weight" in key or "router" in key else 1.0) / fan_in ** 0.5
        value = value.to(torch.bfloat16)
        x.data.copy_(value.to(x.dtype))
        state[key] = value
    tokens = torch.randint(0, sizes["vocab_size"], (rows, length))
    labels = torch.randint(0, sizes["vocab_size"], (rows, length))
    labels[:, 3::5] = -100
    model.train()

    def losses():
        out = model(input_ids=tokens, **({"output_router_logits": True} if aux else {}))
        loss = torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), labels.flatten())
        if not aux:
            return out.logits, loss, loss
        return out.logits, loss, loss + aux * tf.models.qwen3_moe.modeling_qwen3_moe.load_balancing_loss_func(
            out.router_logits, model.config.num_experts, model.config.num_experts_per_tok)

    logits, loss, total = losses()
    if aux:
        # transformers does not divide by top_k; ours weighs a group as its rows, of which some have no target.
        sizes["balance_loss_coeff"] = aux * sizes["top_k"] * (labels >= 0).double().mean().item()
    total.backward()
    tensors = {"tokens": tokens.to(torch.int32), "labels": labels.to(torch.int32),
               "logits": logits.detach().float(), "loss": loss.detach().float().reshape(1)}
    for key, x in our_names(state, family, sizes).items():
        tensors["weight." + key] = x
    gradients = {key: (x.grad if x.grad is not None else torch.zeros_like(x)) for key, x in model.named_parameters()}
    for key, x in our_names(gradients, family, sizes).items():
        tensors["grad." + key] = x.float().clone()
    tensors["losses"] = train(model, losses, sizes)
    path = os.path.join(FOLDER, f"{family}_{name}.safetensors")
    save_file({k: v.contiguous() for k, v in tensors.items()}, path,
              {"family": family, **{k: str(v) for k, v in sizes.items()}})
    print(f"{path}: {os.path.getsize(path)} bytes, loss {loss.item():.6f}")


def dense(dim, layers, heads, kv_heads, vocab, hidden, hf=None, **more):
    return {"dim": dim, "num_layers": layers, "num_heads": heads, "num_kv_heads": kv_heads, "vocab_size": vocab,
            "hidden_dim": hidden, "norm_eps": 1e-5, "rope_theta": 50, **more,
            "hf": {"intermediate_size": hidden, **(hf or {})}}


os.makedirs(FOLDER, exist_ok=True)

# ---- Llama 3 ----
LLAMA = (tf.LlamaConfig, tf.LlamaForCausalLM)
golden("plain", "llama3", *LLAMA, dense(24, 2, 3, 3, 53, 40))
golden("grouped_tied_stretched", "llama3", *LLAMA, dense(32, 2, 4, 2, 47, 56, tied=1), LLAMA_SCALING)
golden("odd_yarn", "llama3", *LLAMA, dense(30, 2, 5, 1, 41, 27), YARN, rows=3, length=7)

# ---- Qwen3 ----
QWEN = (tf.Qwen3Config, tf.Qwen3ForCausalLM)
QWEN_MOE = (tf.Qwen3MoeConfig, tf.Qwen3MoeForCausalLM)


def routed(experts, top_k, hidden, norm, layers=2, head_dim=8):
    return dense(24, layers, 4, 2, 37, 48, {
        "head_dim": head_dim, "num_experts": experts, "num_experts_per_tok": top_k, "moe_intermediate_size": hidden,
        "norm_topk_prob": norm, "decoder_sparse_step": 1, "mlp_only_layers": []},
        head_dim=head_dim, num_dense_layers=0, num_experts=experts, top_k=top_k, expert_hidden=hidden,
        route_norm=int(norm), load_balance_coeff=0)


golden("tied", "qwen3", *QWEN, dense(24, 2, 4, 2, 43, 40, {"head_dim": 10}, head_dim=10, tied=1))
golden("yarn", "qwen3", *QWEN, dense(20, 2, 3, 1, 31, 33, {"head_dim": 8}, head_dim=8), YARN, rows=3, length=11)
golden("experts", "qwen3", *QWEN_MOE, routed(6, 3, 10, True))
golden("experts_loss", "qwen3", *QWEN_MOE, routed(5, 2, 12, False, 1), aux=0.3)

# ---- DeepSeek ----


def latent(query_rank, experts, top_k, hidden, shared, norm, scale, groups, limit, v3, bias=True):
    hf = {"q_lora_rank": query_rank or None, "kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 8,
          "v_head_dim": 5, "moe_intermediate_size": hidden, "n_routed_experts": experts, "num_experts_per_tok": top_k,
          "n_shared_experts": shared, "norm_topk_prob": norm, "routed_scaling_factor": float(scale), "n_group": groups,
          "topk_group": limit, "first_k_dense_replace": 1}
    if not v3:
        hf["topk_method"] = "group_limited_greedy" if groups > 1 else "greedy"
    return dense(24, 3, 3, 3, 37, 32, hf, query_rank=query_rank, key_value_rank=10, nope_dim=6, rope_dim=8, value_dim=5,
                 num_dense_layers=1, num_experts=experts, top_k=top_k, expert_hidden=hidden, num_shared_experts=shared,
                 route_norm=int(norm), route_scale=scale, num_groups=groups, group_limit=limit,
                 group_best=2 if v3 else 1, sigmoid_scores=int(v3), load_balance_coeff=0.001 if v3 else 0)


V3 = (tf.DeepseekV3Config, tf.DeepseekV3ForCausalLM)
V2 = (tf.DeepseekV2Config, tf.DeepseekV2ForCausalLM)
golden("groups_yarn", "deepseek_v3", *V3, {**latent(0, 8, 2, 10, 1, True, 2.5, 4, 2, True), "norm_eps": 1e-6},
       DEEPSEEK_YARN)
golden("low_rank", "deepseek_v3", *V3, {**latent(9, 5, 2, 8, 2, False, 1.5, 1, 1, True), "norm_eps": 1e-6})
golden("v2_groups", "deepseek_v3", *V2, {**latent(9, 6, 3, 10, 1, False, 3, 3, 2, False), "norm_eps": 1e-6})

# ---- Llama 4 ----
LLAMA4 = (tf.Llama4TextConfig, tf.Llama4ForCausalLM)


def chunked(experts, top_k, hidden, interval, norm, scale):
    hf = {"intermediate_size": hidden, "intermediate_size_mlp": 40, "num_local_experts": experts,
          "num_experts_per_tok": top_k, "interleave_moe_layer_step": interval, "use_qk_norm": norm, "head_dim": 8,
          "attention_chunk_size": 6, "attn_temperature_tuning": scale != 0, "attn_scale": scale, "floor_scale": 4,
          "no_rope_layers": [1, 0] * 2, "output_router_logits": False}
    return dense(24, 4 if interval > 1 else 2, 3, 1, 37, 40, {**hf, "no_rope_layers": [1, 0] * (2 if interval > 1 else 1)},
                 head_dim=8, num_experts=experts, top_k=top_k, expert_hidden=hidden, num_shared_experts=1,
                 score_before_experts=1, load_balance_coeff=0, moe_interval=interval, global_interval=2,
                 attention_chunk=6, length_norm=int(norm), query_scale=scale, query_scale_interval=4)


golden("norms_scales", "llama4", *LLAMA4, chunked(4, 1, 12, 2, True, 0.3))
golden("stretched_two", "llama4", *LLAMA4, chunked(5, 2, 10, 1, False, 0), LLAMA_SCALING, rows=3, length=13)
