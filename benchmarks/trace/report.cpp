// The report of a trace (trace.hpp): steps are told by kernels that run once each.
#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>

#include "trace.hpp"

namespace ashlar::trace {

int Names::id(std::string_view text) {
  const auto [at, is_new] = ids_.try_emplace(std::string(text), size());
  if (is_new) texts_.push_back(at->first);
  return at->second;
}

std::string short_name(const std::string& mangled) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status),
                                                    std::free);
  std::string name = status == 0 && text ? text.get() : mangled;
  // Up to where angle brackets opened before `begin` close, or a parameter list opens.
  const auto until_end = [&](std::size_t begin) {
    int depth = 0;
    for (std::size_t i = begin; i < name.size(); ++i) {
      if (name[i] == '(' && depth == 0 && name.compare(i, 2, "(a") != 0) return i;
      depth += name[i] == '<' ? 1 : name[i] == '>' ? -1 : 0;
      if (depth < 0) return i;
    }
    return name.size();
  };
  constexpr std::string_view launcher = "simt_kernel<";
  const auto at = name.find(launcher);
  const std::size_t begin = at != name.npos ? at + launcher.size() : name.starts_with("void ") ? 5 : 0;
  name = name.substr(begin, until_end(begin) - begin);
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name.compare(i, 2, "::") == 0) {  // drops the namespace before it
      while (!out.empty() && (std::isalnum(static_cast<unsigned char>(out.back())) || out.back() == '_'))
        out.pop_back();
      ++i;
    } else {
      out += name[i];
    }
  }
  return out.size() > 72 ? out.substr(0, 69) + "..." : out;
}

bool waits(std::string_view call) {
  constexpr std::array<std::string_view, 15> all = {"cudaStreamSynchronize",
                                                    "cudaDeviceSynchronize",
                                                    "cudaEventSynchronize",
                                                    "cudaMemcpy",
                                                    "cudaMemcpy2D",
                                                    "cudaMemset",
                                                    "cudaMalloc",
                                                    "cudaFree",
                                                    "cudaHostAlloc",
                                                    "cudaMallocHost",
                                                    "cudaFreeHost",
                                                    "cudaHostRegister",
                                                    "cudaMallocManaged",
                                                    "cudaStreamCreate",
                                                    "cudaStreamDestroy"};
  return std::find(all.begin(), all.end(), call) != all.end();
}

namespace {

/// CUPTI's record of a wait, which also stands for waits of libraries that call the driver.
bool is_library_wait(std::string_view call) {
  return call.starts_with("synchronization");
}

constexpr std::string_view step_kernel = "ClipScale";                          // once a step, after backward
constexpr std::string_view closing_kernels[] = {"AdamW", "UpdateExpertBias"};  // what ends a step, after it
constexpr std::size_t warm_up = 2;                                             // steps that may allocate

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> kernels) {
  return std::any_of(kernels.begin(), kernels.end(), [&](auto k) { return name.find(k) != name.npos; });
}

/// A step on the host: from its first launch or upload to its last launch.
struct HostStep {
  std::uint64_t begin = 0, end = 0;
};

struct Summary {
  Trace& t;
  std::vector<std::string> names;           // shortened, by id
  std::map<std::uint32_t, std::size_t> of;  // by call: the work that it put on the device
  std::vector<std::uint64_t> device_ends;   // of the kernel that marks steps
  std::vector<HostStep> steps;

  explicit Summary(Trace& trace) : t(trace) {
    const auto by_begin = [](const auto& a, const auto& b) { return a.begin < b.begin; };
    std::stable_sort(t.work.begin(), t.work.end(), by_begin);
    std::stable_sort(t.calls.begin(), t.calls.end(), by_begin);
    for (int i = 0; i < t.names.size(); ++i) names.push_back(short_name(t.names[i]));
    for (std::size_t i = 0; i < t.work.size(); ++i) {
      const DeviceWork& w = t.work[i];
      of.emplace(w.call, i);
      if (is_step(w)) device_ends.push_back(w.end);
    }
    find_host_steps();
  }

  bool is_step(const DeviceWork& w) const {
    return w.kind == Work::kernel && names[static_cast<std::size_t>(w.name)].starts_with(step_kernel);
  }
  const DeviceWork* work_of(const HostCall& c) const {
    const auto found = of.find(c.call);
    return found == of.end() ? nullptr : &t.work[found->second];
  }
  const std::string& name(int id) const { return names[static_cast<std::size_t>(id)]; }

  // A step begins with the first launch, fill or upload after the last one ended.
  void find_host_steps() {
    HostStep step;
    bool marked = false;
    for (const HostCall& c : t.calls) {
      const DeviceWork* const w = work_of(c);
      if (!w || w->kind == Work::copy_to_host || is_library_wait(t.names[c.name])) continue;
      const bool closes =
          w->kind == Work::kernel && is_one_of(name(w->name), {step_kernel, closing_kernels[0], closing_kernels[1]});
      if (marked && !closes) {
        steps.push_back(step);
        step = {};
        marked = false;
      }
      if (step.begin == 0) step.begin = c.begin;
      step.end = c.end;
      marked = marked || is_step(*w);
    }
    if (marked) steps.push_back(step);
  }

  /// The number of the step that the time lies in, from 1; 0 where it lies between steps.
  std::size_t step_at(std::uint64_t time) const {
    const auto next = std::upper_bound(steps.begin(), steps.end(), time,
                                       [](std::uint64_t a, const HostStep& s) { return a < s.begin; });
    if (next == steps.begin() || time > std::prev(next)->end) return 0;
    return static_cast<std::size_t>(next - steps.begin());
  }

  void write_kernels(std::FILE* out, std::uint64_t from, std::uint64_t to) const {
    struct Total {
      std::size_t count = 0;
      double ms = 0;
    };
    std::map<std::string, Total> totals;
    double sum = 0, busy = 0;
    std::uint64_t covered = from;
    for (const DeviceWork& w : t.work) {
      if (w.begin < from || w.end > to) continue;
      const double ms = static_cast<double>(w.end - w.begin) * 1e-6;
      Total& total = totals[name(w.name)];
      ++total.count;
      total.ms += ms;
      sum += ms;
      if (w.end > covered) busy += static_cast<double>(w.end - std::max(covered, w.begin)) * 1e-6, covered = w.end;
    }
    const double wall = static_cast<double>(to - from) * 1e-6;
    std::fprintf(out, "GPU busy %.1f%% of %.3f ms\n\n%9s %12s %7s  %s\n", 100 * busy / std::max(wall, 1e-9), wall,
                 "count", "total ms", "share", "kernel");
    std::vector<std::pair<std::string, Total>> sorted(totals.begin(), totals.end());
    std::sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) { return a.second.ms > b.second.ms; });
    for (const auto& [kernel, total] : sorted)
      std::fprintf(out, "%9zu %12.3f %6.1f%%  %s\n", total.count, total.ms, 100 * total.ms / std::max(sum, 1e-9),
                   kernel.c_str());
  }

  void write_waits(std::FILE* out) const {
    struct Total {
      std::size_t warm_up = 0, inside = 0, between = 0;
      double ms = 0;
      std::vector<std::size_t> in;  // the first few steady steps with one inside
    };
    std::map<std::string, Total> totals;
    std::size_t inside = 0;
    const auto runtime_waits = [&](const HostCall& c) {
      const DeviceWork* const w = work_of(c);
      return !is_library_wait(t.names[c.name]) && (waits(t.names[c.name]) || (w && w->pageable));
    };
    std::set<std::uint32_t> known;  // waits that are calls into the runtime
    for (const HostCall& c : t.calls)
      if (runtime_waits(c)) known.insert(c.call);
    for (const HostCall& c : t.calls) {
      std::string what = t.names[c.name];
      if (!runtime_waits(c) && (!is_library_wait(what) || known.count(c.call))) continue;
      if (what == "cudaMemcpyAsync") what += " of pageable memory";
      const std::size_t step = step_at(c.begin);
      const bool early = steps.size() <= warm_up || c.begin < steps[warm_up].begin;
      Total& total = totals[what];
      total.ms += static_cast<double>(c.end - c.begin) * 1e-6;
      ++(early ? total.warm_up : step ? total.inside : total.between);
      if (early || !step) continue;
      ++inside;
      if (total.in.size() < 8 && (total.in.empty() || total.in.back() != step)) total.in.push_back(step);
    }
    std::fprintf(out, "\nwhat makes the host wait: calls up to step %zu, inside later steps, between them or after\n",
                 warm_up);
    std::fprintf(out, "%9s %9s %9s %12s  %s\n", "warm-up", "inside", "between", "total ms", "call");
    for (const auto& [what, total] : totals) {
      std::fprintf(out, "%9zu %9zu %9zu %12.3f  %s", total.warm_up, total.inside, total.between, total.ms,
                   what.c_str());
      for (const std::size_t step : total.in)
        std::fprintf(out, "%s%zu", step == total.in.front() ? "; in " : ", ", step);
      std::fprintf(out, "\n");
    }
    if (steps.size() > warm_up)
      std::fprintf(out, "waits inside steady steps: %zu\n", inside);
    else
      std::fprintf(out, "waits inside steady steps: unknown, only %zu steps were traced\n", steps.size());
  }

  void write_host(std::FILE* out) const {
    if (steps.size() <= warm_up) return;
    double inside = 0, spent = 0, calls = 0;
    for (std::size_t i = warm_up; i < steps.size(); ++i)
      inside += static_cast<double>(steps[i].end - steps[i].begin) * 1e-6;
    for (const HostCall& c : t.calls)
      if (c.begin >= steps[warm_up].begin && step_at(c.begin))
        spent += static_cast<double>(c.end - c.begin) * 1e-6, ++calls;
    const double n = static_cast<double>(steps.size() - warm_up);
    std::fprintf(out, "\nhost, a steady step: %.3f ms, of which %.3f ms in %.0f calls (traced calls take longer)\n",
                 inside / n, spent / n, calls / n);
  }

  void write_json(std::FILE* out, std::uint64_t from) const {
    std::fprintf(out, "{\"traceEvents\":[\n");
    std::fprintf(out, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":0,\"args\":{\"name\":\"host\"}},\n");
    std::fprintf(out, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"GPU\"}}");
    const auto event = [&](const std::string& text, int process, std::uint32_t thread, auto& span) {
      std::string name;
      for (const char c : text) {
        if (c == '"' || c == '\\') name += '\\';
        name += c;
      }
      std::fprintf(out, ",\n{\"name\":\"%s\",\"ph\":\"X\",\"pid\":%d,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f}",
                   name.c_str(), process, thread, static_cast<double>(span.begin - from) * 1e-3,
                   static_cast<double>(span.end - span.begin) * 1e-3);
    };
    for (const HostCall& c : t.calls)
      if (c.begin >= from) event(t.names[c.name], 0, c.thread, c);
    for (const DeviceWork& w : t.work)
      if (w.begin >= from) event(name(w.name), 1, w.stream, w);
    std::fprintf(out, "\n]}\n");
  }
};

}  // namespace

void write_report(Trace& trace, const std::string& prefix) {
  const Summary s(trace);
  const std::size_t steps = s.device_ends.size();
  if (std::FILE* const out = std::fopen((prefix + ".txt").c_str(), "w")) {
    std::fprintf(out, "%zu steps, %zu kernels, copies and fills, %zu calls", steps, trace.work.size(),
                 trace.calls.size());
    std::fprintf(out, trace.dropped ? "; CUPTI LOST %llu RECORDS\n" : "\n",
                 static_cast<unsigned long long>(trace.dropped));
    if (steps > warm_up) {
      const std::uint64_t from = s.device_ends[warm_up - 1], to = s.device_ends.back();
      std::fprintf(out, "\nsteps %zu to %zu: %.3f ms each\n", warm_up + 1, steps,
                   static_cast<double>(to - from) * 1e-6 / static_cast<double>(steps - warm_up));
      s.write_kernels(out, from, to);
    } else if (!trace.work.empty()) {
      std::fprintf(out, "\ntoo few steps: all that ran\n");
      s.write_kernels(out, trace.work.front().begin, trace.work.back().end);
    }
    s.write_waits(out);
    s.write_host(out);
    std::fclose(out);
  } else {
    std::fprintf(stderr, "ashlar_trace: can't write %s.txt\n", prefix.c_str());
  }
  if (std::FILE* const out = std::fopen((prefix + ".json").c_str(), "w")) {
    const std::size_t shown = std::min<std::size_t>(3, s.steps.empty() ? 0 : s.steps.size());
    s.write_json(out, shown ? s.steps[s.steps.size() - shown].begin : 0);
    std::fclose(out);
  }
}

}  // namespace ashlar::trace
