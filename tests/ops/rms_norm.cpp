#include "ashlar/ops/rms_norm/rms_norm.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using test::TestTensor;

namespace {

constexpr double eps = 1e-5;

struct Reference {
  std::vector<double> y, rstd;
};

template <class T>
Reference reference(const TestTensor<T>& h, const TestTensor<T>& w) {
  Reference out;
  for (index_t r = 0; r < h.rows(); ++r) {
    double squares = 0;
    for (index_t c = 0; c < h.cols(); ++c) squares += double(h.at(r, c)) * double(h.at(r, c));
    out.rstd.push_back(1 / std::sqrt(squares / double(h.cols()) + eps));
    for (index_t c = 0; c < h.cols(); ++c) out.y.push_back(double(h.at(r, c)) * out.rstd.back() * double(w.at(c)));
  }
  return out;
}

struct Gradients {
  std::vector<double> dx, dw;
};

template <class T>
Gradients reference_backward(const TestTensor<T>& dy, const TestTensor<T>& h, const TestTensor<T>& w) {
  const auto rstd = reference(h, w).rstd;
  Gradients out;
  out.dw.resize(static_cast<std::size_t>(h.cols()));
  for (index_t r = 0; r < h.rows(); ++r) {
    const double s = rstd[static_cast<std::size_t>(r)];
    double mean = 0;
    for (index_t c = 0; c < h.cols(); ++c)
      mean += double(dy.at(r, c)) * double(w.at(c)) * double(h.at(r, c)) * s / double(h.cols());
    for (index_t c = 0; c < h.cols(); ++c) {
      out.dw[static_cast<std::size_t>(c)] += double(dy.at(r, c)) * double(h.at(r, c)) * s;
      out.dx.push_back(s * (double(dy.at(r, c)) * double(w.at(c)) - double(h.at(r, c)) * s * mean));
    }
  }
  return out;
}

Cpu::Queue queue;

}  // namespace

TEMPLATE_TEST_CASE("rms_norm equals its formula", "[rms_norm]", double, float, bf16) {
  using T = TestType;
  for (index_t rows : {0, 1, 3, 131})
    for (index_t cols : {1, 7, 64, 65, 512}) {
      const index_t gap = cols == 64 ? 5 : 0;
      TestTensor<T> x({rows, cols}, gap), w({cols}), y({rows, cols}, gap);
      TestTensor<Acc<T>> rstd({rows});
      x.randomise(1, 3);
      w.randomise(2);
      ops::rms_norm<T, Cpu>(queue, x, {}, w, eps, {}, y, rstd);
      const auto want = reference(x, w);
      CHECK(test::max_error(y.values(), want.y) < test::tolerance<T>);
      CHECK(test::max_error(rstd.values(), want.rstd) < (std::is_same_v<T, double> ? 1e-13 : 1e-6));
      CHECK((y.guards_intact() && rstd.guards_intact() && x.guards_intact()));
    }
}

TEMPLATE_TEST_CASE("rms_norm adds the residual first, and h may take its place", "[rms_norm]", double, float, bf16) {
  using T = TestType;
  const Shape shape{5, 65};
  TestTensor<T> x(shape), residual(shape), w({65}), h(shape), y(shape), sum(shape);
  TestTensor<Acc<T>> rstd({5});
  x.randomise(1);
  residual.randomise(2, 30);
  w.randomise(3);
  ops::rms_norm<T, Cpu>(queue, x, residual, w, eps, h, y, rstd);
  for (index_t i = 0; i < x.count(); ++i) sum.at(i) = T(Acc<T>(x.at(i)) + Acc<T>(residual.at(i)));
  CHECK(h.same_bits(sum));
  CHECK(test::max_error(y.values(), reference(sum, w).y) < test::tolerance<T>);

  for (TestTensor<T>* alias : {&x, &residual}) {
    TestTensor<T> before = *alias, y2(shape);
    ops::rms_norm<T, Cpu>(queue, x, residual, w, eps, *alias, y2, rstd);
    CHECK(alias->same_bits(h));
    CHECK(y2.same_bits(y));
    *alias = before;
  }
}

TEST_CASE("rms_norm of huge and of zero rows is zero", "[rms_norm]") {
  TestTensor<float> x({2, 64}), w({64}), y({2, 64}), rstd({2});
  for (index_t c = 0; c < 64; ++c) x.at(0, c) = 1e25f, x.at(1, c) = 0;
  w.fill(1);
  ops::rms_norm<float, Cpu>(queue, x, {}, w, eps, {}, y, rstd);
  CHECK(rstd.at(0) == 0);
  CHECK(rstd.at(1) == Approx(1 / std::sqrt(eps)));
  CHECK(y.values() == std::vector<double>(128, 0.0));
  TestTensor<float> dy({2, 64}), dx({2, 64}), dw({64});
  dy.fill(1);
  dw.fill(0);
  ops::rms_norm_backward<float, Cpu>(queue, dy, x, w, rstd, dx, false, dw, {});
  for (index_t i = 0; i < dx.count(); ++i) CHECK(std::isfinite(dx.at(i)));
  CHECK(dw.values() == std::vector<double>(64, 0.0));
}

TEMPLATE_TEST_CASE("rms_norm_backward equals its formula", "[rms_norm]", double, float, bf16) {
  using T = TestType;
  CHECK(ops::rms_norm_backward_workspace<Cpu>(1000, 64) == 0);
  for (index_t rows : {0, 1, 17, 1111})
    for (index_t cols : {1, 7, 64, 65}) {
      const index_t gap = cols == 7 ? 3 : 0;
      TestTensor<T> x({rows, cols}, gap), w({cols}), y({rows, cols}), dy({rows, cols}, gap), dx({rows, cols}, gap);
      TestTensor<Acc<T>> rstd({rows}), dw({cols});
      x.randomise(1, 2);
      w.randomise(2);
      dy.randomise(3);
      dw.fill(1);
      ops::rms_norm<T, Cpu>(queue, x, {}, w, eps, {}, y, rstd);
      ops::rms_norm_backward<T, Cpu>(queue, dy, x, w, rstd, dx, false, dw, {});
      auto want = reference_backward(dy, x, w);
      for (double& v : want.dw) v += 1;  // dweight is added to
      CHECK(test::max_error(dx.values(), want.dx, 1) < test::tolerance<T>);
      CHECK(test::max_error(dw.values(), want.dw, 1) < (std::is_same_v<T, double> ? 1e-12 : 1e-5));
      CHECK((dx.guards_intact() && dw.guards_intact()));

      TestTensor<T> sum({rows, cols});
      sum.fill(T(2.0f));
      ops::rms_norm_backward<T, Cpu>(queue, dy, x, w, rstd, sum, true, dw, {});
      for (double& v : want.dx) v += 2;
      CHECK(test::max_error(sum.values(), want.dx, 1) < test::tolerance<T>);

      TestTensor<T> in_place = dy;
      ops::rms_norm_backward<T, Cpu>(queue, in_place, x, w, rstd, in_place, false, dw, {});
      CHECK(in_place.same_bits(dx));
      TestTensor<T> frozen({rows, cols}, gap);
      ops::rms_norm_backward<T, Cpu>(queue, dy, x, w, rstd, frozen, false, {}, {});
      CHECK(frozen.same_bits(dx));
    }
}

TEST_CASE("rms_norm_backward is the derivative of rms_norm", "[rms_norm]") {
  const Shape shape{3, 7};
  TestTensor<double> x(shape), w({7}), y(shape), rstd({3}), dy(shape), dx(shape), dw({7});
  x.randomise(1);
  w.randomise(2);
  dy.randomise(3);
  dw.fill(0);
  const auto loss = [&] {
    ops::rms_norm<double, Cpu>(queue, x, {}, w, eps, {}, y, rstd);
    return test::inner(y, dy);
  };
  const auto want_dx = test::finite_differences(x, loss), want_dw = test::finite_differences(w, loss);
  loss();
  ops::rms_norm_backward<double, Cpu>(queue, dy, x, w, rstd, dx, false, dw, {});
  CHECK(test::max_error(dx.values(), want_dx, 1) < 1e-8);
  CHECK(test::max_error(dw.values(), want_dw, 1) < 1e-8);
}

TEST_CASE("rms_norm counts its cost on Meta and rejects shapes that don't fit", "[rms_norm]") {
  Meta::Queue meta;
  using View = TensorView<float, Meta>;
  const View x(nullptr, {4, 8}), w(nullptr, {8}), rstd(nullptr, {4});
  ops::rms_norm<float, Meta>(meta, x, {}, w, eps, {}, x, rstd);
  CHECK(meta.operations == 1);
  CHECK(meta.total.bytes == (2 * 32 + 8 + 4) * 4);
  TestTensor<float> a({4, 8}), b({4, 7}), v({8}), r({4});
  CHECK_THROWS_AS((ops::rms_norm<float, Cpu>(queue, a, {}, v, eps, {}, b, r)), Error);
}

TEMPLATE_TEST_CASE("rms_norm of the heads of query and key is rms_norm of a view [N heads, head_dim]", "[rms_norm]",
                   double, float, bf16) {
  using T = TestType;
  const index_t rows = 300, heads = 4, dim = 16;
  TestTensor<T> query({rows, heads * dim}), w({dim}), y({rows, heads * dim});
  TestTensor<Acc<T>> rstd({rows * heads}), dw({dim});
  query.randomise(1, 2);
  w.randomise(2);
  const auto by_head = [&](TestTensor<T>& x) { return x.view().reshaped({rows * heads, dim}); };
  ops::rms_norm<T, Cpu>(queue, by_head(query), {}, w, eps, {}, by_head(y), rstd);
  // Each head has a mean of its own, and all heads have one weight.
  std::vector<double> want;
  for (index_t r = 0; r < rows; ++r)
    for (index_t h = 0; h < heads; ++h) {
      double squares = 0;
      for (index_t c = h * dim; c < (h + 1) * dim; ++c) squares += double(query.at(r, c)) * double(query.at(r, c));
      for (index_t c = 0; c < dim; ++c)
        want.push_back(double(query.at(r, h * dim + c)) / std::sqrt(squares / dim + eps) * double(w.at(c)));
    }
  CHECK(test::max_error(y.values(), want) < test::tolerance<T>);
  CHECK((y.guards_intact() && query.guards_intact()));

  TestTensor<T> dy({rows, heads * dim}), dx({rows, heads * dim}), one_head({rows * heads, dim}), its_dy = one_head;
  dy.randomise(3);
  dw.fill(0);
  ops::rms_norm_backward<T, Cpu>(queue, by_head(dy), by_head(query), w, rstd, by_head(dx), false, dw, {});
  for (index_t i = 0; i < query.count(); ++i) one_head.at(i) = query.at(i), its_dy.at(i) = dy.at(i);
  const Gradients gradients = reference_backward(its_dy, one_head, w);
  CHECK(test::max_error(dx.values(), gradients.dx, 1) < test::tolerance<T>);
  CHECK(test::max_error(dw.values(), gradients.dw, 1) < (std::is_same_v<T, double> ? 1e-12 : 1e-5));
}

TEST_CASE("the gradient of rms_norm over heads is its derivative", "[rms_norm]") {
  TestTensor<double> x({5, 3 * 4}), w({4}), y({5, 3 * 4}), dy({5, 3 * 4}), dx({5, 3 * 4}), rstd({15}), dw({4});
  x.randomise(1);
  w.randomise(2);
  dy.randomise(3);
  dw.fill(0);
  const auto by_head = [](TestTensor<double>& t) { return t.view().reshaped({15, 4}); };
  const auto loss = [&] {
    ops::rms_norm<double, Cpu>(queue, by_head(x), {}, w, eps, {}, by_head(y), rstd);
    return test::inner(y, dy);
  };
  loss();
  ops::rms_norm_backward<double, Cpu>(queue, by_head(dy), by_head(x), w, rstd, by_head(dx), false, dw, {});
  CHECK(test::max_error(dx.values(), test::finite_differences(x, loss), 1) < 1e-8);
  CHECK(test::max_error(dw.values(), test::finite_differences(w, loss), 1) < 1e-8);
}
