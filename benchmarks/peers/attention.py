"""Causal attention with grouped key-value heads by PyTorch's fastest kernel: cuDNN's, where it takes the shapes."""
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

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
