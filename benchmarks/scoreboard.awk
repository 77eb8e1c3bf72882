# Joins the rows of scoreboard.jsonl into one table in Markdown. A row is named alike by both sides; what it counts
# (bytes, FLOPs) is said by our line, so that PyTorch's needs milliseconds alone. Used by scoreboard.sh.

# The text of a field of this line's flat object; "" where it has none.
function field(name,    at, text) {
  at = index($0, "\"" name "\":")
  if (!at) return ""
  text = substr($0, at + length(name) + 3)
  sub(/^ */, "", text)
  if (text ~ /^"/) {
    text = substr(text, 2)
    sub(/".*/, "", text)
  } else {
    sub(/[,}].*/, "", text)
  }
  return text == "null" ? "" : text
}

function number(x) {
  if (x == "") return ""
  return sprintf(x >= 1000 ? "%.0f" : x >= 100 ? "%.1f" : x >= 1 ? "%.2f" : "%.4f", x)
}

# PyTorch has no order of sums to choose: its row is that of either.
function row_of(side, row) {
  if (side != "ashlar") sub(/, unordered sums/, "", row)
  return row
}

# What a side reached in a row, in the row's unit; "" where it did not.
function reached(side, row,    counted) {
  row = row_of(side, row)
  if ((side, row) in failed) return ""
  if (value[side, row] != "") return value[side, row]
  counted = amount["ashlar", row] != "" ? amount["ashlar", row] : amount[side, row]
  return milliseconds[side, row] > 0 && counted != "" ? counted / milliseconds[side, row] * 1000 : ""
}

function cell(side, row) {
  row = row_of(side, row)
  return (side, row) in failed ? "failed" : number(reached(side, row))
}

function print_row(name, ours, unit, percent, theirs, eager, ratio) {
  if (eager != "") theirs = (theirs == "" ? "" : theirs " ") "(eager " eager ")"
  print "| " name " | " (ours == "" ? "-" : ours) " | " unit " | " (percent == "" ? "-" : percent) " | " \
    (theirs == "" ? "-" : theirs) " | " (ratio == "" ? "-" : ratio) " |"
}

function ratio_of(a, b) {
  return a != "" && b > 0 ? sprintf("%.2f", a / b) : ""
}

# A training row's share of `peak` TFLOP/s, where a token costs `flops`.
function print_mfu(row, flops, peak, text,    ours, theirs, eager, name) {
  if (flops == "" || peak == "") return
  ours = reached("ashlar", row)
  theirs = reached("pytorch", row)
  eager = reached("pytorch_eager", row)
  name = row
  sub(/: training$/, ": MFU, " text, name)
  print_row(name, ours == "" ? "" : number(ours * flops / peak * 1e-10), "%", "",
    theirs == "" ? "" : number(theirs * flops / peak * 1e-10), eager == "" ? "" : number(eager * flops / peak * 1e-10),
    ratio_of(ours, theirs))
}

/"row"/ {
  row = field("row")
  side = field("side")
  if (!(row in seen)) {
    seen[row] = 1
    order[++rows] = row
  }
  if (side == "flops") {
    full[row] = field("flops_per_token")
    causal[row] = field("flops_per_token_causal")
    next
  }
  # A part that is run again replaces what it said before.
  delete failed[side, row]
  if (field("failed") != "") failed[side, row] = field("failed")
  value[side, row] = field("value")
  milliseconds[side, row] = field("milliseconds")
  amount[side, row] = field("amount")
  percent[side, row] = field("percent")
  if (field("unit") != "") unit[row] = field("unit")
}

END {
  ceiling["GB/s"] = reached("ashlar", "copy, 1 GiB")
  ceiling["TFLOP/s"] = reached("ashlar", "matmul bf16, 8192^3")
  print "| row | ours | unit | % of ceiling | PyTorch | ours / PyTorch |"
  print "| --- | ---: | --- | ---: | ---: | ---: |"
  for (i = 1; i <= rows; ++i) {
    row = order[i]
    ours = reached("ashlar", row)
    theirs = reached("pytorch", row)
    share = (("ashlar", row) in failed) ? "" : percent["ashlar", row]
    if (share == "" && ours != "" && ceiling[unit[row]] > 0) share = 100 * ours / ceiling[unit[row]]
    shown = cell("pytorch", row)
    # Where our row failed, what it counts is not known.
    if (shown == "" && milliseconds["pytorch", row] != "") shown = number(milliseconds["pytorch", row]) " ms"
    print_row(row, cell("ashlar", row), unit[row], share == "" ? "" : sprintf("%.1f", share), shown,
      cell("pytorch_eager", row), ratio_of(ours, theirs))
    if (row in full) {
      print_mfu(row, full[row], 989, "full attention, of 989 TFLOP/s")
      print_mfu(row, full[row], ceiling["TFLOP/s"], "full attention, of cuBLASLt's rate")
      print_mfu(row, causal[row], 989, "causal attention, of 989 TFLOP/s")
      print_mfu(row, causal[row], ceiling["TFLOP/s"], "causal attention, of cuBLASLt's rate")
    }
  }
  for (i = 1; i <= rows; ++i)
    for (s = split("ashlar pytorch pytorch_eager", sides, " "); s > 0; --s)
      if ((sides[s], order[i]) in failed) {
        if (!told++) print "\nFailed:\n"
        print "* " order[i] " (" sides[s] "): " failed[sides[s], order[i]]
      }
}
