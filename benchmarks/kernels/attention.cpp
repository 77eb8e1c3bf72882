// Causal attention: one long sequence with the heads of Llama 3 8B, a batch with those of the 124M model, and documents
// of unequal lengths in one long sequence.
#include "ashlar/ops/attention/attention.hpp"

#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

struct CausalAttention {
  std::string name;
  bool backward;
  index_t batch, seq_len, heads, kv_heads, head_dim;
  std::vector<index_t> documents = {};  // their lengths, in each sequence; none: a sequence is one
  bool unordered = false;               // the gradient of queries is added by atomics
  Ceiling ceiling = Ceiling::bf16;
  double tolerance = 0.03;  // probabilities and their gradients are rounded to bf16 before they multiply

  ops::AttentionShape shape() const {
    const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
    return {batch, seq_len, seq_len, seq_len, heads, kv_heads, head_dim, head_dim, scale};
  }

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const CausalAttention& c)
        : query(memory, {c.batch * c.seq_len, c.heads * c.head_dim}),
          out(memory, query.shape()),
          dout(memory, query.shape()),
          dquery(memory, query.shape()),
          key(memory, {c.batch * c.seq_len, c.kv_heads * c.head_dim}),
          value(memory, key.shape()),
          dkey(memory, key.shape()),
          dvalue(memory, key.shape()),
          lse(memory, {c.batch * c.heads * c.seq_len}),
          delta(memory, lse.shape()),
          query_sums(memory, {c.unordered ? ops::attention_query_sums<D>(c.shape()) : 0}),
          start(memory, {c.batch, c.seq_len}) {}
    Tensor<bf16, D> query, out, dout, dquery, key, value, dkey, dvalue;
    Tensor<float, D> lse, delta, query_sums;
    Tensor<std::int32_t, D> start;  // of the token's document
  };
  template <Mask M, class D>
  static typename M::State mask(const Operands<D>& o) {
    if constexpr (M::needs_documents)
      return {o.start.data(), o.start.shape()[1]};
    else
      return {};
  }
  template <Mask M, class D>
  void forward(typename D::Queue& queue, Operands<D>& o) const {
    ops::attention<M, bf16, D>(queue, shape(), mask<M>(o), {o.query.view(), o.key.view(), o.value.view()},
                               {o.out.view(), o.lse.view()});
  }
  template <Mask M, class D>
  void run_under(typename D::Queue& queue, Operands<D>& o, bool gradients) const {
    if (!gradients) return forward<M, D>(queue, o);
    ops::attention_delta<bf16, D>(queue, shape(), o.out.view(), o.dout.view(), o.delta.view());
    ops::attention_backward<M, bf16, D>(queue, shape(), mask<M>(o), {o.query.view(), o.key.view(), o.value.view()},
                                        o.lse.view(), o.delta.view(), o.dout.view(),
                                        {o.dquery.view(), o.dkey.view(), o.dvalue.view()}, false, o.query_sums.view());
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o, bool gradients) const {
    if (documents.empty())
      run_under<Causal, D>(queue, o, gradients);
    else
      run_under<BlockCausal, D>(queue, o, gradients);
  }
  /// The token at which the document of token i begins, and the one after its end.
  struct Document {
    index_t begin, end;
  };
  Document document(index_t i) const {
    index_t begin = 0;
    for (const index_t length : documents) {
      if (i < begin + length) return {begin, begin + length};
      begin += length;
    }
    return {begin, seq_len};
  }
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    for (auto* tensor : {&o.query, &o.key, &o.value, &o.dout}) random.normal(*tensor);
    std::vector<std::int32_t> start(static_cast<std::size_t>(batch * seq_len));
    for (std::size_t i = 0; i < start.size(); ++i)
      start[i] = static_cast<std::int32_t>(document(static_cast<index_t>(i) % seq_len).begin);
    Cuda::Queue queue;
    Cuda::upload(queue, o.start.data(), start.data(), start.size() * sizeof(std::int32_t));
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    run<D>(queue, o, backward);
    if constexpr (std::is_same_v<D, Meta>)
      if (!documents.empty()) {  // visible pairs alone are counted: their share of half of all
        double pairs = 0;
        for (const index_t n : documents) pairs += 0.5 * static_cast<double>(n) * static_cast<double>(n);
        queue.total.flops *= pairs / (0.5 * static_cast<double>(seq_len) * static_cast<double>(seq_len));
      }
  }

  /// The last sequence and its last key-value head, in double: whole columns, so that any row can be computed.
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o, false);
    if (backward) run<Cuda>(queue, o);
    const index_t first = (batch - 1) * seq_len, group = heads / kv_heads, d = head_dim;
    const auto columns = [&](const auto& tensor, index_t head) {
      return read(queue, tensor.view(), first, seq_len, head * d, d);
    };
    const auto k = columns(o.key, kv_heads - 1), v = columns(o.value, kv_heads - 1);
    HostMatrix<> dk(samples, d), dv(samples, d);
    double worst = 0;
    for (index_t head = heads - group; head < heads; ++head) {
      const auto q = columns(o.query, head), out = columns(o.out, head);
      if (!backward) {
        worst = std::max(worst, output_error(q, k, v, out));
        continue;
      }
      const auto dout = columns(o.dout, head);
      const auto lse =
          read(queue, o.lse.view().reshaped({batch * heads, seq_len}), (batch - 1) * heads + head, 1, 0, seq_len);
      worst = std::max(worst, query_gradient_error(q, k, v, out, dout, lse, columns(o.dquery, head)));
      add_key_gradients(q, k, v, out, dout, lse, dk, dv);
    }
    if (!backward) return worst;
    return std::max({worst, deviation(sampled(columns(o.dkey, kv_heads - 1)).values, dk.values),
                     deviation(sampled(columns(o.dvalue, kv_heads - 1)).values, dv.values)});
  }

 private:
  using Matrix = HostMatrix<>;
  static constexpr index_t samples = 6;

  index_t sample(index_t s) const { return spread(s, samples, seq_len); }
  Matrix sampled(const Matrix& all) const {
    Matrix out(samples, head_dim);
    for (index_t s = 0; s < samples; ++s)
      for (index_t j = 0; j < head_dim; ++j) out.at(s, j) = all.at(sample(s), j);
    return out;
  }
  static double dot(const Matrix& a, index_t i, const Matrix& b, index_t j) {
    double sum = 0;
    for (index_t c = 0; c < a.shape[1]; ++c) sum += a.at(i, c) * b.at(j, c);
    return sum;
  }

  double output_error(const Matrix& q, const Matrix& k, const Matrix& v, const Matrix& out) const {
    Matrix want(samples, head_dim);
    for (index_t s = 0; s < samples; ++s) {
      double sum = 0;
      for (index_t j = document(sample(s)).begin; j <= sample(s); ++j) {
        const double p = std::exp(shape().scale * dot(q, sample(s), k, j));
        sum += p;
        for (index_t c = 0; c < head_dim; ++c) want.at(s, c) += p * v.at(j, c);
      }
      for (index_t c = 0; c < head_dim; ++c) want.at(s, c) /= sum;
    }
    return deviation(sampled(out).values, want.values);
  }
  /// The gradient of the score of (i, j), and the probability.
  struct Pair {
    double p, ds;
  };
  Pair pair(const Matrix& q, const Matrix& k, const Matrix& v, const Matrix& out, const Matrix& dout, const Matrix& lse,
            index_t i, index_t j) const {
    const double p = std::exp(shape().scale * dot(q, i, k, j) - lse.at(0, i));
    return {p, p * (dot(dout, i, v, j) - dot(dout, i, out, i)) * shape().scale};
  }
  double query_gradient_error(const Matrix& q, const Matrix& k, const Matrix& v, const Matrix& out, const Matrix& dout,
                              const Matrix& lse, const Matrix& dquery) const {
    Matrix want(samples, head_dim);
    for (index_t s = 1; s < samples; ++s)  // the first query sees one key: its gradient is nothing but rounding
      for (index_t j = document(sample(s)).begin; j <= sample(s); ++j) {
        const double ds = pair(q, k, v, out, dout, lse, sample(s), j).ds;
        for (index_t c = 0; c < head_dim; ++c) want.at(s, c) += ds * k.at(j, c);
      }
    Matrix got = sampled(dquery);
    std::fill(got.values.begin(), got.values.begin() + head_dim, 0.0);
    return deviation(got.values, want.values);
  }
  void add_key_gradients(const Matrix& q, const Matrix& k, const Matrix& v, const Matrix& out, const Matrix& dout,
                         const Matrix& lse, Matrix& dk, Matrix& dv) const {
    for (index_t s = 0; s < samples; ++s)
      for (index_t i = sample(s); i < document(sample(s)).end; ++i) {
        const Pair of = pair(q, k, v, out, dout, lse, i, sample(s));
        for (index_t c = 0; c < head_dim; ++c) {
          dk.at(s, c) += of.ds * q.at(i, c);
          dv.at(s, c) += of.p * dout.at(i, c);
        }
      }
  }
};

}  // namespace

void measure_attention(Board& board) {
  const auto rows = [&](const std::string& what, index_t batch, index_t seq_len, index_t heads, index_t kv_heads,
                        index_t head_dim, const std::vector<index_t>& documents = {}) {
    CausalAttention row{"attention forward, " + what, false, batch, seq_len, heads, kv_heads, head_dim, documents};
    board.row(row);
    row.name = "attention backward, " + what;
    row.backward = true;
    board.row(row);
    row.name += ", unordered sums";
    row.unordered = true;
    board.row(row);
  };
  rows("8192 tokens, 32/8 heads of 128", 1, 8192, 32, 8, 128);
  rows("32 x 1024 tokens, 12 heads of 64", 32, 1024, 12, 12, 64);
  rows("16 documents in 16384 tokens, 32/8 heads of 128", 1, 16384, 32, 8, 128,
       {77, 126, 1529, 229, 178, 3563, 143, 2324, 857, 81, 2753, 132, 179, 1729, 174, 2310});
}

}  // namespace ashlar::benchmark
