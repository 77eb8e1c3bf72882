"""Every operation of the scoreboard in PyTorch: fused kernels of the library where it has them (cuDNN attention, fused
AdamW, grouped products), torch.compile elsewhere."""
import math
import random

import torch
import torch.nn.functional as F

import attention

bf16, f32, i32 = torch.bfloat16, torch.float32, torch.int32


def backward_of(f, inputs, gradients):
    """A function that runs f's backward once more each time."""
    for x in inputs:
        x.requires_grad_()
    outputs = f(*inputs)
    return lambda: torch.autograd.grad(outputs, inputs, gradients, retain_graph=True)


@torch.compile
def rms_norm(x, weight):
    return F.rms_norm(x, (x.shape[-1],), weight, 1e-5)


@torch.compile
def rms_norm_with_residual(x, residual, weight):
    h = x + residual
    return h, F.rms_norm(h, (h.shape[-1],), weight, 1e-5)


@torch.compile
def rotate(x, cos, sin):
    pairs = x.float().view(*x.shape[:-1], -1, 2)
    a, b = pairs[..., 0], pairs[..., 1]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2).to(x.dtype)


@torch.compile
def swiglu(gate, up):
    return F.silu(gate) * up


@torch.compile
def cross_entropy(logits, targets):
    return F.cross_entropy(logits.float(), targets)


@torch.compile
def count_non_finite(x):
    return (~torch.isfinite(x)).sum()


@torch.compile
def merge_statistics(shards):
    maximum = shards[..., 0].amax(0)
    return torch.stack((maximum, (shards[..., 1] * (shards[..., 0] - maximum).exp()).sum(0), shards[..., 2].sum(0)), -1)


@torch.compile
def clip_scale(total, max_norm):
    norm = total.sqrt()
    return norm, (max_norm / (norm + 1e-6)).clamp(max=1)


def route(logits, bias, k):
    """The experts of each token, their weights, and how many tokens each expert has."""
    probabilities = logits.softmax(-1)
    experts = (probabilities + bias).topk(k, -1).indices
    weights = probabilities.gather(-1, experts)
    weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
    counts = torch.histc(experts.float(), bins=logits.shape[-1], min=0, max=logits.shape[-1])
    return weights, experts, counts


def sort_by_expert(experts, num_experts):
    """The slot of each row, the row of each slot, and where each expert's rows end."""
    flat = experts.flatten()
    source = flat.sort(stable=True).indices
    position = torch.empty_like(source).scatter_(0, source, torch.arange(len(source), device=source.device))
    counts = torch.histc(flat.float(), bins=num_experts, min=0, max=num_experts)
    return source, position, counts.cumsum(0).to(i32)


compiled_route = torch.compile(route)
compiled_sort = torch.compile(sort_by_expert)


@torch.compile
def route_sort_permute(logits, bias, x, k):
    weights, experts, counts = route(logits, bias, k)
    source = experts.flatten().sort(stable=True).indices
    return x[source // k], weights, counts.cumsum(0).to(i32), source


@torch.compile
def permute(x, source, k):
    return x[source // k]


@torch.compile
def permute_backward(rows, position, k):
    return rows[position].view(-1, k, rows.shape[-1]).float().sum(1).to(rows.dtype)


@torch.compile
def unpermute(rows, position, weights):
    return (rows[position].view(*weights.shape, -1).float() * weights[..., None]).sum(1).to(rows.dtype)


@torch.compile
def unpermute_backward(dy, rows, source, position, weights):
    k = weights.shape[-1]
    moved = (dy[source // k].float() * weights.flatten()[source][:, None]).to(rows.dtype)
    return moved, (rows[position].view(*weights.shape, -1).float() * dy[:, None].float()).sum(-1)


def measure(board):
    torch._functorch.config.donated_buffer = False  # backward_of runs a compiled backward again and again
    for group in (products, norms, activations, attentions, vocabulary, optimizer, elementwise, routing, permutation,
                  grouped_products):
        group(board)


def products(board):
    n = board.size(8192, 256)
    count = board.size(1 << 28, 1 << 16)

    def copy():
        a, b = board.normal(count, dtype=f32), torch.empty(count, dtype=f32, device=board.device)
        return lambda: b.copy_(a)

    board.row("copy, 1 GiB", copy)

    def product(dtype, of):
        def make():
            a, b = board.normal(n, n, dtype=dtype), board.normal(n, n, dtype=dtype)
            c = torch.empty(n, n, dtype=dtype, device=board.device)
            return lambda: of(a, b, c)

        return make

    board.row("matmul bf16, 8192^3", product(bf16, lambda a, b, c: torch.mm(a, b.t(), out=c)))
    board.row("matmul f32, 8192^3", product(f32, lambda a, b, c: torch.mm(a, b.t(), out=c)))
    board.row("matmul bf16 input gradient, 8192^3", product(bf16, lambda a, b, c: torch.mm(a, b, out=c)))

    def weight_gradient():
        a, b = board.normal(n, n), board.normal(n, n)
        c = torch.zeros(n, n, dtype=f32, device=board.device)
        try:
            torch.addmm(c, a.t(), b, out_dtype=f32)
            return lambda: torch.addmm(c, a.t(), b, out_dtype=f32)
        except (RuntimeError, TypeError):  # not on this device
            return lambda: c.add_(torch.mm(a.t(), b))

    board.row("matmul bf16 weight gradient into f32, 8192^3", weight_gradient)


def norms(board):
    rows, cols = board.size(32768, 64), board.size(4096, 256)
    heads, head_dim, seq_len = cols // 128, 128, board.size(8192, 64)

    def forward():
        x, w = board.normal(rows, cols), board.normal(cols)
        return lambda: rms_norm(x, w)

    def with_residual():
        x, residual, w = board.normal(rows, cols), board.normal(rows, cols), board.normal(cols)
        return lambda: rms_norm_with_residual(x, residual, w)

    def backward():
        return backward_of(rms_norm, (board.normal(rows, cols), board.normal(cols)), board.normal(rows, cols))

    board.row("rms_norm forward, 32768 x 4096", forward)
    board.row("rms_norm forward with residual, 32768 x 4096", with_residual)
    board.row("rms_norm backward, 32768 x 4096", backward)

    def rotation(sign):
        def make():
            x = board.normal(rows // seq_len, seq_len, heads, head_dim)
            angle = board.normal(seq_len, 1, head_dim // 2, dtype=f32)
            cos, sin = angle.cos(), sign * angle.sin()
            return lambda: rotate(x, cos, sin)

        return make

    board.row("rope forward, 32768 x 32 x 128", rotation(1))
    board.row("rope backward, 32768 x 32 x 128", rotation(-1))


def activations(board):
    shape = (board.size(8192, 64), board.size(14336, 256))

    def forward():
        gate, up = board.normal(*shape), board.normal(*shape)
        return lambda: swiglu(gate, up)

    board.row("swiglu forward, 8192 x 14336", forward)
    board.row("swiglu backward, 8192 x 14336",
              lambda: backward_of(swiglu, (board.normal(*shape), board.normal(*shape)), board.normal(*shape)))


def attentions(board):
    for name, batch, seq_len, heads, kv_heads, head_dim in (
            ("8192 tokens, 32/8 heads of 128", 1, board.size(8192, 64), 32, 8, 128),
            ("32 x 1024 tokens, 12 heads of 64", board.size(32, 2), board.size(1024, 32), 12, 12, 64)):
        def tensors():
            shape = [(batch, seq_len, h, head_dim) for h in (heads, kv_heads, kv_heads)]
            return [board.normal(*s).transpose(1, 2) for s in shape]

        def forward():
            q, k, v = tensors()
            return lambda: attention.causal(q, k, v)

        def backward():
            q, k, v = (x.detach() for x in tensors())
            return backward_of(attention.causal, (q, k, v), torch.randn_like(q))

        try:
            kernel = attention.choose(*tensors())
        except Exception as error:
            kernel = str(error)
        board.row(f"attention forward, {name}", forward, kernel=kernel)
        board.row(f"attention backward, {name}", backward, kernel=kernel)
    document_attention(board)


def document_attention(board):
    if board.device.type != "cuda":
        return
    lengths = [77, 126, 1529, 229, 178, 3563, 143, 2324, 857, 81, 2753, 132, 179, 1729, 174, 2310]

    def tensors():
        return [board.normal(1, sum(lengths), h, 128).transpose(1, 2) for h in (32, 8, 8)]

    def forward():
        q, k, v = tensors()
        f = attention.within_documents(lengths, q.device)
        return lambda: f(q, k, v)

    def backward():
        q, k, v = (x.detach() for x in tensors())
        return backward_of(attention.within_documents(lengths, q.device), (q, k, v), torch.randn_like(q))

    board.row("attention forward, 16 documents in 16384 tokens, 32/8 heads of 128", forward, kernel="flex, compiled")
    board.row("attention backward, 16 documents in 16384 tokens, 32/8 heads of 128", backward, kernel="flex, compiled")


def vocabulary(board):
    tokens, vocab_size, cols = board.size(32768, 64), board.size(128256, 512), board.size(4096, 64)

    def ids(n):
        return torch.randint(vocab_size, (n,), device=board.device)

    def lookup():
        at, table = ids(tokens), board.normal(vocab_size, cols)
        return lambda: F.embedding(at, table)

    def lookup_backward():
        at, dy = ids(tokens), board.normal(tokens, cols)
        return lambda: torch.ops.aten.embedding_dense_backward(dy, at, vocab_size, -1, False)

    board.row("embedding forward, 32768 of 128256 x 4096", lookup)
    board.row("embedding backward, 32768 of 128256 x 4096", lookup_backward, kernel="bf16 gradient, whole table")

    rows = board.size(8192, 64)

    def both_ways(dtype):
        def make():
            logits, targets = board.normal(rows, vocab_size, dtype=dtype).requires_grad_(), ids(rows)
            return lambda: torch.autograd.grad(cross_entropy(logits, targets), logits)

        return make

    board.row("cross_entropy forward and backward, 8192 x 128256", both_ways(f32), kernel="f32 gradient")
    moved = 3 * 2 * rows * vocab_size * 1e-9
    board.row("cross_entropy forward and backward, 8192 x 128256, bf16 logits", both_ways(bf16), amount=moved,
              unit="GB/s")

    ranks, merged = 8, board.size(32768, 64)

    def merge():
        shards = 1 + board.normal(ranks, merged, 3, dtype=f32).square()
        return lambda: merge_statistics(shards)

    board.row("cross_entropy merge, 8 shards of 32768 rows", merge, ranks * merged * 15)


def optimizer(board):
    count = board.size(1 << 28, 1 << 12)

    def adamw(with_copy):
        def make():
            p = board.normal(count, dtype=f32, deviation=0.02).requires_grad_()
            p.grad = board.normal(count, dtype=f32, deviation=0.01)
            step = torch.optim.AdamW([p], lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True).step
            copy = torch.empty(count, dtype=bf16, device=board.device)

            def run():
                step()
                if with_copy:
                    copy.copy_(p.detach())

            return run

        return make

    board.row("adamw f32, 2^28", adamw(False))
    board.row("adamw f32 with bf16 copy, 2^28", adamw(True))

    def norm():
        x = board.normal(count, dtype=f32)
        return lambda: torch.linalg.vector_norm(x)

    board.row("gradient_norm sum of squares f32, 2^28", norm)

    def clip():
        total = torch.full((1,), 4.5, dtype=torch.float64, device=board.device)
        return lambda: clip_scale(total, 1.0)

    board.row("gradient_norm clip scale", clip)


def elementwise(board):
    count = board.size(1 << 28, 1 << 12)

    def add():
        a, b, c = (board.normal(count) for _ in range(3))
        return lambda: torch.add(a, b, out=c)

    def cast(x_type, out_type):
        def make():
            x, out = board.normal(count, dtype=x_type), torch.empty(count, dtype=out_type, device=board.device)
            return lambda: out.copy_(x)

        return make

    def on(f, dtype):
        def make():
            x = board.normal(count, dtype=dtype)
            return lambda: f(x)

        return make

    board.row("add bf16, 2^28", add)
    board.row("cast f32 to bf16, 2^28", cast(f32, bf16))
    board.row("cast bf16 to f32, 2^28", cast(bf16, f32))
    board.row("sum f32, 2^28", on(torch.sum, f32))
    board.row("count_non_finite bf16, 2^28", on(count_non_finite, bf16))


def routing(board):
    tokens, num_experts, k, cols = board.size(32768, 64), board.size(128, 16), 8, board.size(2048, 64)
    touched = tokens * num_experts * 8

    def forward():
        logits, bias = board.normal(tokens, num_experts, dtype=f32), board.normal(num_experts, dtype=f32) * 1e-4
        return lambda: compiled_route(logits, bias, k)

    def backward():
        bias = board.normal(num_experts, dtype=f32) * 1e-4
        return backward_of(lambda logits: compiled_route(logits, bias, k)[0],
                           (board.normal(tokens, num_experts, dtype=f32),), board.normal(tokens, k, dtype=f32))

    def whole():
        logits, bias = board.normal(tokens, num_experts, dtype=f32), board.normal(num_experts, dtype=f32) * 1e-4
        x = board.normal(tokens, cols)
        return lambda: route_sort_permute(logits, bias, x, k)

    board.row("router forward, 32768 tokens to 8 of 128", forward, touched)
    board.row("router backward, 32768 tokens to 8 of 128", backward, touched)
    board.row("route, sort and permute, 32768 tokens to 8 of 128, width 2048", whole)


def permutation(board):
    tokens, num_experts, k, cols = board.size(32768, 64), board.size(128, 16), 8, board.size(2048, 64)

    def experts():
        return torch.rand(tokens, num_experts, device=board.device).topk(k, -1).indices

    def sort():
        chosen = experts()
        return lambda: compiled_sort(chosen, num_experts)

    board.row("sort by expert, 32768 tokens to 8 of 128", sort, tokens * k * 20)

    def received():
        peers, local = 8, board.size(16, 4)
        each = tokens * k // (peers * local)
        counts = torch.full((peers, local), each, device=board.device)
        ids = torch.arange(local, device=board.device).repeat(peers)

        def f():
            expert_of_row = ids.repeat_interleave(counts.flatten(), output_size=peers * local * each)
            return compiled_sort(expert_of_row, local)

        return f

    board.row("sort received, 262144 rows of 8 peers to 16 experts", received, tokens * k * 20)

    def balance():
        counts = torch.randint(4096, (num_experts,), device=board.device)
        bias = torch.zeros(num_experts, device=board.device)

        def f():
            delta = 1e-3 * torch.sign(counts.float().mean() - counts)
            bias.add_(delta - delta.mean())
            counts.zero_()

        return f

    board.row("load_balance, 128 experts", balance, num_experts * 8)

    def moves(f):
        def make():
            source, position, _ = sort_by_expert(experts(), num_experts)
            x, rows = board.normal(tokens, cols), board.normal(tokens * k, cols)
            weights = torch.rand(tokens, k, device=board.device)
            return lambda: f(x, rows, source, position, weights)

        return make

    board.row("permute, 262144 x 2048", moves(lambda x, rows, source, position, w: permute(x, source, k)))
    board.row("permute backward, 262144 x 2048",
              moves(lambda x, rows, source, position, w: permute_backward(rows, position, k)))
    board.row("unpermute, 262144 x 2048", moves(lambda x, rows, source, position, w: unpermute(rows, position, w)))
    board.row("unpermute backward, 262144 x 2048",
              moves(lambda x, rows, source, position, w: unpermute_backward(x, rows, source, position, w)))


def unequal(groups, rows):
    generator = random.Random(3)
    share = [math.exp(0.7 * generator.gauss(0, 1)) for _ in range(groups)]
    sizes = [int(rows * x / sum(share)) for x in share]
    sizes[0] += rows - sum(sizes)
    return sizes


def grouped_products(board):
    for name, sizes, n, k in (("8 x 4096 rows", [4096] * 8, 4096, 7168), ("8 x 4096 rows", [4096] * 8, 7168, 2048),
                              ("64 x 1024 rows", [1024] * 64, 2816, 2048), ("64 x 1024 rows", [1024] * 64, 2048, 1408),
                              ("128 x 512 rows", [512] * 128, 1536, 2048), ("128 x 512 rows", [512] * 128, 2048, 768),
                              ("128 unequal groups", unequal(128, 65536), 1536, 2048),
                              ("128 x 64 rows", [64] * 128, 1536, 2048), ("256 x 128 rows", [128] * 256, 4096, 7168)):
        name = f"{name}, {n} x {k}"
        large = len(sizes) * n * k >= 1 << 32
        if board.tiny:
            sizes, n, k = [16] * 4, 64, 32

        def product(of):
            def make():
                rows = sum(sizes)
                x, y, w = board.normal(rows, k), board.normal(rows, n), board.normal(len(sizes), n, k)
                ends = torch.tensor(sizes, device=board.device).cumsum(0).to(i32)
                return lambda: of(x, y, w, ends)

            return make

        board.row(f"grouped_gemm, {name}",
                  product(lambda x, y, w, ends: torch._grouped_mm(x, w.transpose(-2, -1), offs=ends)))
        board.row(f"grouped_gemm input gradient, {name}",
                  product(lambda x, y, w, ends: torch._grouped_mm(y, w, offs=ends)))
        if not large:
            # Into bf16: PyTorch has no other.
            board.row(f"grouped_gemm weight gradient, {name}",
                      product(lambda x, y, w, ends: torch._grouped_mm(y.t(), x, offs=ends)))
