// What no recipe changes, compiled once: where ASHLAR_COMPILED is 1, a program takes these from a library that
// ashlar_compile made instead of compiling them itself, and a recipe compiles in less than half the time. Where it
// is 0 nothing here is read. The template parameter CompiledOnce is void always: being a template is what lets a
// function be declared here. Listed is what recipes call; what only those functions call need not be. Read next:
// ops/cpu_instances.hpp, the kernels.
#pragma once

#include "ashlar/comm/local.hpp"
#include "ashlar/train/main.hpp"

namespace ashlar::inline v0 {

// Communicators.
namespace detail {
ASHLAR_INSTANCE void reduce_in_order<>(std::span<const void* const>, void*, index_t, DType, Reduce);
}  // namespace detail
ASHLAR_INSTANCE std::shared_ptr<HostBackend> HostBackend::split_by_color<>(int, int, std::string);
ASHLAR_INSTANCE void LocalWorld::run<>(int, const std::function<void(Communicator)>&, LocalOptions);
ASHLAR_INSTANCE Communicator Fake::world<>(int, int, std::shared_ptr<FakeCounts>, DType);
#if ASHLAR_WITH_MPI
ASHLAR_INSTANCE MpiSession::MpiSession(const MpiOptions&);
ASHLAR_INSTANCE void MpiSession::end<>();
ASHLAR_INSTANCE void MpiSession::abort<>(int);
#endif
ASHLAR_INSTANCE Degrees resolve_degrees<>(Degrees, int);
ASHLAR_INSTANCE Mesh::Mesh(const Degrees&, Communicator);

// Parameters.
ASHLAR_INSTANCE UnitLayout::UnitLayout(std::vector<Entry>, int);
ASHLAR_INSTANCE void InitialValues::fill<float>(index_t, index_t, float*) const;

// Pipeline schedules.
namespace pipeline {
ASHLAR_INSTANCE Schedule lower<>(const Schedule&);
ASHLAR_INSTANCE Schedule forward_only<>(Schedule);
ASHLAR_INSTANCE std::vector<StageLayers> split_layers<>(int, int, EndWeights);
}  // namespace pipeline

// Data.
ASHLAR_INSTANCE RunData open_data<>(const Config&, index_t);
ASHLAR_INSTANCE Bigram::Bigram(const Text&, double);
ASHLAR_INSTANCE double Bigram::loss<>(const Text&) const;
ASHLAR_INSTANCE HostBatch TokenRows::rows_of<>(const TokenSource&, index_t, std::int64_t, index_t);

// Checkpoints.
ASHLAR_INSTANCE std::string to_json<>(const Manifest&);
ASHLAR_INSTANCE Manifest parse_manifest<>(std::string_view, const std::string&);
ASHLAR_INSTANCE Manifest read_manifest<>(const std::filesystem::path&);
ASHLAR_INSTANCE SafetensorsHeader parse_safetensors_header<>(std::string_view, std::uint64_t, const std::string&);
ASHLAR_INSTANCE std::string format_safetensors_header<>(const std::vector<SafetensorsEntry>&,
                                                        const std::map<std::string, std::string>&);
ASHLAR_INSTANCE UnitLayout UnitLayout::of_whole<>(std::string, const Shape&);
ASHLAR_INSTANCE Checkpointer::Checkpointer(TrainerAccess, DataCursor&);
ASHLAR_INSTANCE bool Checkpointer::save<>(std::int64_t, bool, bool);
ASHLAR_INSTANCE bool Checkpointer::load<>();
ASHLAR_INSTANCE void Checkpointer::load_model<>();
ASHLAR_INSTANCE void Checkpointer::load_from<>(const std::filesystem::path&, bool);
ASHLAR_INSTANCE Consolidated convert<>(const Config&);
ASHLAR_INSTANCE std::string trained_on_note<>(const Config&, const std::filesystem::path&);

// Configuration.
ASHLAR_INSTANCE CommandLine parse<>(int, const char* const*);
ASHLAR_INSTANCE void validate<>(const Config&);
ASHLAR_INSTANCE void read_json<>(FieldList&, std::string_view, const std::string&);
ASHLAR_INSTANCE void read_json_file<>(FieldList&, const std::string&);
ASHLAR_INSTANCE std::string to_json<>(const Config&);
ASHLAR_INSTANCE std::string nearest_name<>(std::string_view, const std::vector<std::string>&);

// What a run is made of, and what it says.
ASHLAR_INSTANCE Degrees degrees_of<>(const ParallelismConfig&);
ASHLAR_INSTANCE ParallelismConfig with_degrees<>(ParallelismConfig, const Degrees&);
ASHLAR_INSTANCE BatchLayout batch_layout<>(const Config&, const Mesh&);
ASHLAR_INSTANCE pipeline::Schedule schedule_of<>(const ParallelismConfig&, const Mesh&, int);
ASHLAR_INSTANCE Decay decay_from<>(std::string_view);
ASHLAR_INSTANCE LrSchedule::LrSchedule(const LrScheduleOptions&);
ASHLAR_INSTANCE MetricsLog::MetricsLog(const std::filesystem::path&, std::int64_t);
ASHLAR_INSTANCE void MetricsLog::write<>(const StepMetrics&);
ASHLAR_INSTANCE std::int64_t peak_resident_bytes<>();
ASHLAR_INSTANCE double measure_matmul_rate<float, Cpu>(Cpu::Queue&);
ASHLAR_INSTANCE double measure_matmul_rate<bf16, Cpu>(Cpu::Queue&);
ASHLAR_INSTANCE std::string grouped_text<>(double);
ASHLAR_INSTANCE void Progress::report<>(const StepMetrics&, std::int64_t, double);
ASHLAR_INSTANCE void Progress::note<>(std::string_view);
ASHLAR_INSTANCE std::string to_text<>(const Plan&);
ASHLAR_INSTANCE std::string to_json<>(const Plan&);
ASHLAR_INSTANCE std::int32_t sample<>(std::vector<double>, double, int, const RandomStream&, std::uint64_t);

}  // namespace ashlar::inline v0
