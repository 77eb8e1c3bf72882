"""Causal attention with grouped key-value heads by PyTorch's fastest kernel: cuDNN's, where it takes the shapes; within
documents, by flex attention, compiled."""
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

expand_heads = False


def causal(q, k, v):
    """q [batch, heads, tokens, head_dim], k and v with fewer heads."""
    grouped = q.shape[1] != k.shape[1]
    if expand_heads and grouped:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
        grouped = False
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)


def choose(q, k, v):
    """Turns on the first kernel that takes these shapes, forward and backward, for all calls from here on: without a
    context manager, which a compiled block would not see. Says which."""
    global expand_heads
    if q.device.type != "cuda":
        return "CPU"
    for backend, enable in ((SDPBackend.CUDNN_ATTENTION, "cudnn"), (SDPBackend.FLASH_ATTENTION, "flash")):
        for expand in (False, True):
            expand_heads = expand
            try:
                tensors = [x.detach().clone().requires_grad_() for x in (q, k, v)]
                with sdpa_kernel(backend):
                    causal(*tensors).sum().backward()
                torch.cuda.synchronize()
            except RuntimeError:
                continue
            cuda = torch.backends.cuda
            cuda.enable_cudnn_sdp(enable == "cudnn")
            cuda.enable_flash_sdp(enable == "flash")
            cuda.enable_mem_efficient_sdp(False)
            cuda.enable_math_sdp(False)
            return enable + (", expanded heads" if expand else "")
    return "default"


def within_documents(lengths, device):
    """A function of q, k, v: causal attention within consecutive documents of these lengths, invisible blocks skipped."""
    start = torch.repeat_interleave(torch.tensor([sum(lengths[:i]) for i in range(len(lengths))]), torch.tensor(lengths))
    start = start.to(device)
    n = sum(lengths)
    blocks = create_block_mask(lambda b, h, q, k: (k <= q) & (k >= start[q]), None, None, n, n, device=device)
    compiled = torch.compile(flex_attention)
    return lambda q, k, v: compiled(q, k, v, block_mask=blocks, enable_gqa=q.shape[1] != k.shape[1])
