"""The scoreboard's rows in PyTorch: the same shapes and random values, timed by the same method as kernels/board.hpp.

Usage: pytorch.py kernels FILE.jsonl
       pytorch.py moe_layer FILE.jsonl
       pytorch.py train FILE.jsonl MODEL eager|compiled BATCH SEQ_LEN STEPS
Rows are added to the file, one JSON object a line, named like ours. With --tiny all sizes are such that a CPU can run
them: a check of this file, not a measurement. Read next: operations.py, decoder.py.
"""
import sys

import decoder
import operations
from board import Board


def main():
    arguments = [a for a in sys.argv[1:] if a != "--tiny"]
    if len(arguments) < 2:
        sys.exit(__doc__)
    board = Board(arguments[1], tiny="--tiny" in sys.argv)
    if arguments[0] == "kernels":
        operations.measure(board)
    elif arguments[0] == "moe_layer":
        decoder.measure_moe_layer(board)
    elif arguments[0] == "train":
        model, mode, batch, seq_len, steps = arguments[2:7]
        decoder.train(board, model, mode == "compiled", int(batch), int(seq_len), int(steps))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
