"""Decoders like ours in PyTorch, trained the fastest fair way: bf16 weights to compute with, f32 master weights that
fused AdamW updates, gradients cast to f32 as each arrives; eager, or each block compiled."""
import time

import torch
import torch.nn.functional as F
from torch import nn

import attention
from operations import sort_by_expert

# dim, layers, heads, key-value heads, hidden, vocabulary, tied; then experts, top_k, hidden of an expert, shared
SIZES = {
    "debugmodel": (256, 6, 16, 16, 768, 2048, False),
    "124M": (768, 12, 12, 12, 2048, 50257, True),
    "1B": (2048, 16, 32, 8, 8192, 128256, True),
    "8B_slice": (4096, 16, 32, 8, 14336, 128256, False),
    "debug_moe": (256, 6, 16, 16, 768, 2048, False, 8, 2, 256, True),
}


class RMSNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


def rotate(x, cos, sin):
    a, b = x.float().view(*x.shape[:-1], -1, 2).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, dim, heads, kv_heads):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, dim // heads
        kv = kv_heads * self.head_dim
        self.wq, self.wk = nn.Linear(dim, dim, bias=False), nn.Linear(dim, kv, bias=False)
        self.wv, self.wo = nn.Linear(dim, kv, bias=False), nn.Linear(dim, dim, bias=False)

    def forward(self, x, cos, sin):
        batch, tokens, _ = x.shape
        q = rotate(self.wq(x).view(batch, tokens, self.heads, self.head_dim), cos, sin)
        k = rotate(self.wk(x).view(batch, tokens, self.kv_heads, self.head_dim), cos, sin)
        v = self.wv(x).view(batch, tokens, self.kv_heads, self.head_dim)
        out = attention.causal(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.wo(out.transpose(1, 2).reshape(batch, tokens, -1))


class SwiGLU(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.w1, self.w3 = nn.Linear(dim, hidden, bias=False), nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class MixtureOfExperts(nn.Module):
    def __init__(self, dim, num_experts, top_k, hidden, shared=False, normalize=False):
        super().__init__()
        self.num_experts, self.top_k, self.normalize = num_experts, top_k, normalize
        self.gate = nn.Linear(dim, num_experts, bias=False)
        self.w1 = nn.Parameter(torch.empty(num_experts, hidden, dim))
        self.w3 = nn.Parameter(torch.empty(num_experts, hidden, dim))
        self.w2 = nn.Parameter(torch.empty(num_experts, dim, hidden))
        self.shared = SwiGLU(dim, hidden) if shared else None

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        probabilities = self.gate(flat).float().softmax(-1)
        weights, experts = probabilities.topk(self.top_k, -1)
        if self.normalize:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        source, position, ends = sort_by_expert(experts, self.num_experts)
        rows = flat[source // self.top_k]
        h = F.silu(torch._grouped_mm(rows, self.w1.transpose(-2, -1), offs=ends))
        h = h * torch._grouped_mm(rows, self.w3.transpose(-2, -1), offs=ends)
        out = torch._grouped_mm(h, self.w2.transpose(-2, -1), offs=ends)
        y = (out[position].view(*weights.shape, -1) * weights[..., None].to(out.dtype)).sum(1)
        if self.shared is not None:
            y = y + self.shared(flat)
        return y.view_as(x)


class Block(nn.Module):
    def __init__(self, dim, heads, kv_heads, feed_forward):
        super().__init__()
        self.attention_norm, self.ffn_norm = RMSNorm(dim), RMSNorm(dim)
        self.attention, self.feed_forward = Attention(dim, heads, kv_heads), feed_forward

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.feed_forward(self.ffn_norm(x))


def output_loss(h, norm, weight, targets):
    logits = F.linear(F.rms_norm(h, (h.shape[-1],), norm, 1e-5), weight)
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


class Decoder(nn.Module):
    def __init__(self, sizes, seq_len, compiled):
        super().__init__()
        dim, layers, heads, kv_heads, hidden, vocab_size, tied = sizes[:7]
        moe = sizes[7:]
        self.embedding = nn.Embedding(vocab_size, dim)
        self.blocks = nn.ModuleList(
            Block(dim, heads, kv_heads, MixtureOfExperts(dim, *moe) if moe and layer > 0 else SwiGLU(dim, hidden))
            for layer in range(layers))
        self.norm = RMSNorm(dim)
        self.output = None if tied else nn.Linear(dim, vocab_size, bias=False)
        head_dim = dim // heads
        angle = torch.outer(torch.arange(seq_len).float(), 500000.0 ** -(torch.arange(0, head_dim, 2) / head_dim))
        self.cos, self.sin = angle.cos()[:, None], angle.sin()[:, None]
        self.loss = output_loss
        if compiled:
            for block in self.blocks:
                block.compile()
            self.loss = torch.compile(output_loss)

    def forward(self, tokens, targets):
        h = self.embedding(tokens)
        for block in self.blocks:
            h = block(h, self.cos, self.sin)
        weight = self.embedding.weight if self.output is None else self.output.weight
        return self.loss(h, self.norm.weight, weight, targets)


def build(sizes, seq_len, compiled, device):
    with torch.device(device):
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        model = Decoder(sizes, seq_len, compiled)
        torch.set_default_dtype(default)
    model.cos, model.sin = model.cos.float(), model.sin.float()
    for p in model.parameters():
        if p.dim() > 1:
            nn.init.normal_(p, 0, 0.02)
    return model


class MasterWeights:
    """f32 weights, gradients and AdamW states beside a bf16 model."""

    def __init__(self, model):
        self.weights = list(model.parameters())
        self.masters = [p.detach().float() for p in self.weights]
        for weight, master in zip(self.weights, self.masters):
            weight.register_post_accumulate_grad_hook(self.hand_over(master))
        fused = self.masters[0].device.type == "cuda"
        self.adamw = torch.optim.AdamW(self.masters, lr=8e-4 / 200, betas=(0.9, 0.95), weight_decay=0.1, fused=fused)

    @staticmethod
    def hand_over(master):
        def hook(weight):
            master.grad = weight.grad.float()
            weight.grad = None

        return hook

    def step(self):
        nn.utils.clip_grad_norm_(self.masters, 1.0, foreach=True)
        self.adamw.step()
        torch._foreach_copy_([w.detach() for w in self.weights], self.masters)
        self.adamw.zero_grad(set_to_none=True)


def train(board, name, compiled, batch, seq_len, steps):
    """Prints "step 1/N" when the first step is done, so that the caller can tell how long that took."""
    if board.tiny:
        batch, seq_len = 2, 64
    sizes = SIZES[name]
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")  # no product is in f32; keeps the compiler from remarking on it
    model = build(sizes, seq_len, compiled, board.device)
    head_dim = sizes[0] // sizes[2]
    kernel = attention.choose(*(board.normal(batch, seq_len, h, head_dim).transpose(1, 2)
                                for h in (sizes[2], sizes[3], sizes[3])))
    optimizer = MasterWeights(model)

    def step():
        tokens = torch.randint(sizes[5], (batch, seq_len + 1), device=board.device)
        loss = model(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
        loss.backward()
        optimizer.step()
        return loss.detach()

    loss = step().item()
    print(f"step 1/{steps} loss {loss:.4f}", flush=True)
    for _ in range(2):
        loss = step().item()
    start = time.perf_counter()
    for _ in range(steps):
        loss = step()
    loss = loss.item()
    seconds = (time.perf_counter() - start) / steps
    side = "pytorch" if compiled else "pytorch_eager"
    print(f"loss {loss:.4f}", flush=True)
    if not loss < 20:
        raise RuntimeError(f"the loss is {loss}")
    row = f"{name}, {batch} x {seq_len}"
    board.write(f"{row}: training", side, value=batch * seq_len / seconds, unit="tokens/s", kernel=kernel)
    if board.device.type == "cuda":
        board.write(f"{row}: peak memory", side, value=torch.cuda.max_memory_allocated() / 2**30, unit="GiB")


def measure_moe_layer(board):
    torch.manual_seed(0)
    tokens, dim = board.size(16384, 64), board.size(2048, 64)
    with torch.device(board.device):
        layer = MixtureOfExperts(dim, board.size(128, 8), 8, board.size(768, 32), normalize=True).to(torch.bfloat16)
    for p in layer.parameters():
        nn.init.normal_(p, 0, 0.02)
    x, dy = board.normal(tokens, dim).requires_grad_(), board.normal(tokens, dim)
    inputs = [x, *layer.parameters()]
    run, clock = torch.compile(layer), board.clock()
    forward, backward = [], []
    for _ in range(18):
        start = clock()
        y = run(x)
        forward.append(clock(start))
        start = clock()
        torch.autograd.grad(y, inputs, dy)
        backward.append(clock(start))
    size = "16384 tokens to 8 of 128, 2048 x 768"
    board.write(f"moe layer forward, {size}", milliseconds=1e3 * sorted(forward[3:])[7])
    board.write(f"moe layer backward, {size}", milliseconds=1e3 * sorted(backward[3:])[7])
    if board.device.type == "cuda":
        board.write("moe layer peak memory", value=torch.cuda.max_memory_allocated() / 2**30, unit="GiB")
