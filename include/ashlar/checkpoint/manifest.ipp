// Definitions of manifest.hpp: its JSON, both ways. Included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <nlohmann/json.hpp>

#include "ashlar/checkpoint/file.hpp"
#include "ashlar/checkpoint/manifest.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string to_json(const Manifest& m) {
  nlohmann::json files = nlohmann::json::array();
  for (const Manifest::StoredFile& f : m.files) files.push_back({{"name", f.name}, {"bytes", f.bytes}});
  const Degrees& d = m.degrees;
  const nlohmann::json root = {
      {"format_version", Manifest::newest_format},
      {"step", m.step},
      {"updates", m.updates},
      {"tokens", m.tokens},
      {"loader", {{"cursor", m.cursor}}},
      {"model_only", m.model_only},
      {"base", m.base},
      {"world_size", m.world_size},
      {"degrees",
       {{"pp", d.pp},
        {"dp_replicate", d.dp_replicate},
        {"dp_shard", d.dp_shard},
        {"cp", d.cp},
        {"tp", d.tp},
        {"ep", d.ep}}},
      {"config", m.config.empty() ? nlohmann::json::object() : nlohmann::json::parse(std::string_view(m.config))},
      {"build", m.build},
      {"files", std::move(files)}};
  return root.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

ASHLAR_ONCE Manifest parse_manifest(std::string_view text, const std::string& path) {
  const auto shallow = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > 16) fail(concat(path, ": is nested too deep for a manifest"));
    return true;
  };
  try {
    const nlohmann::json root = nlohmann::json::parse(text, shallow);
    const auto number = [&](const nlohmann::json& object, const char* name) {
      const nlohmann::json& value = object.at(name);
      if (!value.is_number_unsigned() || value.get<std::uint64_t>() > (std::uint64_t{1} << 62))
        fail(concat(path, ": \"", name, "\" is no number that is 0 or more"));
      return value.get<std::int64_t>();
    };
    const auto small = [&](const nlohmann::json& object, const char* name) {
      const std::int64_t value = number(object, name);
      if (value < 1 || value > (1 << 30)) fail(concat(path, ": \"", name, "\" is ", value));
      return static_cast<int>(value);
    };
    if (const std::int64_t format = number(root, "format_version"); format < 1 || format > Manifest::newest_format)
      fail(concat(path, ": is of format ", format, "; this build reads formats up to ", Manifest::newest_format));
    Manifest m;
    m.step = number(root, "step");
    m.updates = root.contains("updates") ? number(root, "updates") : m.step;  // absent in older ones
    m.tokens = number(root, "tokens");
    m.cursor = number(root.at("loader"), "cursor");
    m.model_only = root.at("model_only").get<bool>();
    m.base = root.value("base", std::string());  // absent in older ones
    m.world_size = small(root, "world_size");
    const nlohmann::json& d = root.at("degrees");
    m.degrees = {small(d, "pp"), small(d, "dp_replicate"), small(d, "dp_shard"),
                 small(d, "cp"), small(d, "tp"),           small(d, "ep")};
    m.config = root.at("config").dump();
    m.build = root.at("build").get<std::string>();
    for (const nlohmann::json& f : root.at("files")) {
      const auto& name = f.at("name").get_ref<const std::string&>();
      if (name.empty() || name.front() == '.' || name.find('/') != name.npos || name.find('\0') != name.npos)
        fail(concat(path, ": \"", name.substr(0, 60), "\" is no name of a file in the same folder"));
      m.files.push_back({name, static_cast<std::uint64_t>(number(f, "bytes"))});
    }
    return m;
  } catch (const nlohmann::json::exception& error) {
    fail(concat(path, ": is no manifest of a checkpoint: ", error.what()));
  }
}

ASHLAR_ONCE Manifest read_manifest(const std::filesystem::path& folder) {
  const File file = File::open(folder / Manifest::file_name);
  constexpr std::uint64_t longest = std::uint64_t{16} << 20;
  if (file.size() > longest) fail(concat(file.path().string(), ": is too long for a manifest"));
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, text.data(), text.size());
  return parse_manifest(text, file.path().string());
}

}  // namespace ashlar::inline v0
