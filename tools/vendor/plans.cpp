// Makes the plans that nibble would make on the chip whose driver is loaded, and writes down what its compiler made of
// every pipeline. A stub of a device will do: no queue is used and nothing runs.
//   nibble_vendor_plans --chip NAME --out FOLDER [--plans WORD[,WORD...]] [--list]
// FOLDER/pipelines.tsv has a line per pipeline: plan, module, specialization, subgroups, milliseconds, statistics as
// name=value;..., and the file of its machine code in FOLDER. Other lines begin with '#': "#device", "#failed PLAN
// WHY". Plans are made in child processes, so that a crash of a compiler costs few of them.
#include <dlfcn.h>
#include <nibble/formats.h>
#include <nibble/nibble.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "plan/context.h"

using std::string;
using std::vector;

namespace {

// ----------------------------------------------------------------------------------------- plans
struct Job {
  string name;
  uint32_t features;  // that may be used
  vector<uint8_t> desc;
};

constexpr uint32_t kNoMatrices = NIB_FEATURE_ALL & ~uint32_t(NIB_FEATURE_COOPMAT);

template <class Desc>
void add(vector<Job>& jobs, const string& name, const Desc& desc, uint32_t features = NIB_FEATURE_ALL) {
  Job job{name, features, vector<uint8_t>(sizeof desc)};
  std::memcpy(job.desc.data(), &desc, sizeof desc);
  jobs.push_back(job);
}

template <class Desc>
Desc square(uint32_t op) {
  Desc d{};
  d.op = op;
  d.desc_bytes = sizeof d;
  d.rows = d.cols = 4096;
  return d;
}

// A format's usual sharing of scales, as halves if it has them.
NibWeights usual(const NibFormatInfo& f) {
  NibWeights w{};
  w.format = f.format;
  const bool groups = f.default_group_size != 0 || f.group_max == f.group_multiple;
  w.granularity = groups || !(f.granularities >> NIB_GRANULARITY_ROW & 1) ? NIB_GRANULARITY_GROUP : NIB_GRANULARITY_ROW;
  for (const NibType type : {NIB_TYPE_BYTE, NIB_TYPE_E8M0, NIB_TYPE_F16}) {
    if (f.scale_types >> type & 1) w.scale_type = type;
  }
  return w;
}

void addProducts(vector<Job>& jobs, const string& format, const NibWeights& weights) {
  NibMatmulDesc d = square<NibMatmulDesc>(NIB_OP_MATMUL);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.weights = weights;
  const auto with = [&](uint32_t tokens, NibType type) {
    d.tokens = tokens;
    d.input_type = d.result_type = type;
    return d;
  };
  add(jobs, "matvec." + format + ".t1.f32", with(1, NIB_TYPE_F32));
  add(jobs, "matvec." + format + ".t1.f16", with(1, NIB_TYPE_F16));
  add(jobs, "matvec." + format + ".t8.f16", with(8, NIB_TYPE_F16));
  add(jobs, "matmul." + format + ".t64.f16", with(64, NIB_TYPE_F16));
  add(jobs, "matmul." + format + ".t512.f16", with(512, NIB_TYPE_F16));
  add(jobs, "matmul." + format + ".t512.f16.plain", with(512, NIB_TYPE_F16), kNoMatrices);
}

void addInt8(vector<Job>& jobs) {
  for (const uint32_t tokens : {1u, 8u, 512u}) {
    for (const uint32_t group : {0u, 128u}) {
      NibInt8GemmDesc d = square<NibInt8GemmDesc>(NIB_OP_INT8_GEMM);
      d.flags = NIB_PRODUCT_ONE_KERNEL;
      d.tokens = tokens;
      d.result_type = NIB_TYPE_F16;
      d.weights.format = d.input.format = NIB_FORMAT_INT8;
      d.weights.granularity = group != 0 ? NIB_GRANULARITY_GROUP : NIB_GRANULARITY_ROW;
      d.weights.group_size = group;
      d.input.granularity = NIB_GRANULARITY_ROW;
      const string name = "int8.t" + std::to_string(tokens) + (group != 0 ? ".group128" : "");
      add(jobs, name, d);
      if (tokens == 512 && group == 0) add(jobs, name + ".plain", d, kNoMatrices);
    }
  }
  for (const uint32_t format : {NIB_FORMAT_INT8, NIB_FORMAT_INT4}) {
    NibDynamicGemmDesc d = square<NibDynamicGemmDesc>(NIB_OP_DYNAMIC_GEMM);
    d.flags = NIB_PRODUCT_ONE_KERNEL;
    d.tokens = 1;
    d.source_type = d.result_type = NIB_TYPE_F16;
    d.weights.format = format;
    d.weights.granularity = NIB_GRANULARITY_ROW;
    add(jobs, string("dynamic.") + (format == NIB_FORMAT_INT8 ? "int8" : "int4") + ".t1", d);
  }
}

void addQuantization(vector<Job>& jobs, const string& format, const NibWeights& weights) {
  NibQuantizeDesc q = square<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  q.weights = weights;
  q.source_type = NIB_TYPE_F16;
  add(jobs, "quantize." + format + ".f16", q);
  NibDequantizeDesc d = square<NibDequantizeDesc>(NIB_OP_DEQUANTIZE);
  d.weights = weights;
  d.result_type = NIB_TYPE_F16;
  add(jobs, "dequantize." + format + ".f16", d);
}

vector<Job> allJobs() {
  vector<Job> jobs;
  for (uint32_t i = 0; i < nibFormatCount(); ++i) addProducts(jobs, nibFormatAt(i)->name, usual(*nibFormatAt(i)));
  NibWeights dense{};
  dense.scale_type = NIB_TYPE_F16;
  addProducts(jobs, "dense", dense);
  addInt8(jobs);
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    addQuantization(jobs, nibFormatAt(i)->name, usual(*nibFormatAt(i)));
  }
  return jobs;
}

// ----------------------------------------------------------------------------------------- pipelines
struct Made {
  VkPipeline pipeline;
  string subgroups;
  double milliseconds;
};

struct Driver {
  PFN_vkGetInstanceProcAddr instance;
  PFN_vkGetDeviceProcAddr device;
  PFN_vkCreateComputePipelines create;
  bool statistics;
} driver;
vector<Made> made;  // by the plan that is being created

VKAPI_ATTR VkResult VKAPI_CALL createPipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                               const VkComputePipelineCreateInfo* infos,
                                               const VkAllocationCallbacks* allocator, VkPipeline* pipelines) {
  vector<VkComputePipelineCreateInfo> asked(infos, infos + count);
  for (VkComputePipelineCreateInfo& info : asked) {
    if (!driver.statistics) continue;
    info.flags |=
        VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
  }
  const auto start = std::chrono::steady_clock::now();
  const VkResult result = driver.create(device, cache, count, asked.data(), allocator, pipelines);
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  for (uint32_t i = 0; result == VK_SUCCESS && i < count; ++i) {
    string subgroups;
    for (auto* p = static_cast<const VkBaseInStructure*>(infos[i].stage.pNext); p != nullptr; p = p->pNext) {
      if (p->sType != VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO) continue;
      subgroups =
          "required " +
          std::to_string(
              reinterpret_cast<const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo*>(p)->requiredSubgroupSize);
    }
    if (infos[i].stage.flags & VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT) {
      subgroups += subgroups.empty() ? "full" : ", full";
    }
    made.push_back({pipelines[i], subgroups, time.count() / count});
  }
  return result;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getDevice(VkDevice device, const char* name) {
  if (std::strcmp(name, "vkCreateComputePipelines") == 0) return PFN_vkVoidFunction(createPipelines);
  return driver.device(device, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getInstance(VkInstance instance, const char* name) {
  if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) return PFN_vkVoidFunction(getDevice);
  return driver.instance(instance, name);
}

string numberOf(const VkPipelineExecutableStatisticKHR& s) {
  char text[32];
  switch (s.format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: return std::to_string(s.value.b32);
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: return std::to_string(s.value.i64);
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: return std::to_string(s.value.u64);
    default: std::snprintf(text, sizeof text, "%g", s.value.f64); return text;
  }
}

template <class T, class Ask>
vector<T> listOf(VkStructureType type, const Ask& ask) {
  uint32_t count = 0;
  ask(&count, nullptr);
  T blank{};
  blank.sType = type;
  vector<T> list(count, blank);
  ask(&count, list.data());
  return list;
}

// Statistics of a pipeline, and the text of its machine code with all that came before it.
void inspect(VkDevice device, VkPipeline pipeline, string* statistics, string* text) {
  const auto load = [&](const char* name) { return driver.device(device, name); };
  const auto properties = PFN_vkGetPipelineExecutablePropertiesKHR(load("vkGetPipelineExecutablePropertiesKHR"));
  const auto numbers = PFN_vkGetPipelineExecutableStatisticsKHR(load("vkGetPipelineExecutableStatisticsKHR"));
  const auto texts =
      PFN_vkGetPipelineExecutableInternalRepresentationsKHR(load("vkGetPipelineExecutableInternalRepresentationsKHR"));
  if (properties == nullptr || numbers == nullptr || texts == nullptr) return;
  const VkPipelineInfoKHR of{VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, nullptr, pipeline};
  const auto executables = listOf<VkPipelineExecutablePropertiesKHR>(
      VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR,
      [&](uint32_t* count, VkPipelineExecutablePropertiesKHR* list) { properties(device, &of, count, list); });
  for (uint32_t e = 0; e < executables.size(); ++e) {
    *statistics += "subgroup=" + std::to_string(executables[e].subgroupSize) + ";";
    const VkPipelineExecutableInfoKHR which{VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, nullptr, pipeline, e};
    for (const auto& s : listOf<VkPipelineExecutableStatisticKHR>(
             VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR,
             [&](uint32_t*count, VkPipelineExecutableStatisticKHR*list) { numbers(device, &which, count, list); })) {
      *statistics += string(s.name) + "=" + numberOf(s) + ";";
    }
    auto forms = listOf<VkPipelineExecutableInternalRepresentationKHR>(
        VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR,
        [&](uint32_t* count, VkPipelineExecutableInternalRepresentationKHR* list) {
          texts(device, &which, count, list);
        });
    vector<vector<char>> room(forms.size());
    for (size_t i = 0; i < forms.size(); ++i) {
      room[i].resize(forms[i].dataSize + 1);
      forms[i].pData = room[i].data();
    }
    uint32_t count = uint32_t(forms.size());
    texts(device, &which, &count, forms.data());
    for (size_t i = 0; i < forms.size(); ++i) {
      *text += string("==== ") + forms[i].name + " ====\n" + room[i].data() + "\n";
    }
  }
}

// ----------------------------------------------------------------------------------------- a device
struct Table {
  string folder;
  FILE* file = nullptr;
  int number = 0;
};

void writePipelines(NibContext& context, const string& plan, Table& table) {
  for (const Made& m : made) {
    const nib::PipelineStore::Origin origin = context.pipelines.originOf(m.pipeline);
    if (origin.row == nullptr) continue;
    string spec, statistics, text;
    for (uint32_t i = 0; i < origin.spec_count; ++i) spec += (i != 0 ? "," : "") + std::to_string(origin.spec[i]);
    inspect(context.device, m.pipeline, &statistics, &text);
    const string name = plan + "." + origin.row->module + ".txt";
    if (FILE* f = std::fopen((table.folder + "/" + name).c_str(), "wb")) {
      std::fwrite(text.data(), 1, text.size(), f);
      std::fclose(f);
    }
    std::fprintf(table.file, "%s\t%s\t%s\t%s\t%.0f\t%s\t%s\n", plan.c_str(), origin.row->module, spec.c_str(),
                 m.subgroups.c_str(), m.milliseconds, statistics.c_str(), name.c_str());
  }
  std::fflush(table.file);
}

void writeLog(void* user, NibSeverity, const char* text) {
  std::fprintf(static_cast<Table*>(user)->file, "#log %s\n", text);
}

const char* makePlans(const vector<const Job*>& jobs, Table& table) {
  void* loader = dlopen("libvulkan.so.1", RTLD_NOW);
  if (loader == nullptr) return "no Vulkan loader";
  driver.instance = PFN_vkGetInstanceProcAddr(dlsym(loader, "vkGetInstanceProcAddr"));
  VkApplicationInfo app{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  app.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo instance_info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  instance_info.pApplicationInfo = &app;
  VkInstance instance;
  if (PFN_vkCreateInstance(driver.instance(nullptr, "vkCreateInstance"))(&instance_info, nullptr, &instance) < 0) {
    return "no instance";
  }
#define OF_INSTANCE(name) PFN_vk##name(driver.instance(instance, "vk" #name))
  uint32_t count = 1;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  OF_INSTANCE(EnumeratePhysicalDevices)(instance, &count, &physical);
  if (count == 0 || physical == VK_NULL_HANDLE) return "no device";
  count = 0;
  OF_INSTANCE(EnumerateDeviceExtensionProperties)(physical, nullptr, &count, nullptr);
  vector<VkExtensionProperties> offered(count);
  OF_INSTANCE(EnumerateDeviceExtensionProperties)(physical, nullptr, &count, offered.data());
  constexpr const char* kExtension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
  driver.statistics = std::any_of(offered.begin(), offered.end(), [](const VkExtensionProperties& e) {
    return std::strcmp(e.extensionName, kExtension) == 0;
  });

  NibRequirements wanted{sizeof wanted};
  if (nibGetRequirements(driver.instance, instance, physical, VK_API_VERSION_1_3, &wanted) != NIB_SUCCESS) {
    return "no requirements";
  }
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, nullptr, VK_TRUE};
  vector<const char*> extensions(wanted.extensions, wanted.extensions + wanted.extension_count);
  if (driver.statistics) extensions.push_back(kExtension);
  NibFeatureChain chain;
  const float priority = 1;
  count = 0;
  OF_INSTANCE(GetPhysicalDeviceQueueFamilyProperties)(physical, &count, nullptr);
  vector<VkQueueFamilyProperties> families(count);
  OF_INSTANCE(GetPhysicalDeviceQueueFamilyProperties)(physical, &count, families.data());
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  while (queue.queueFamilyIndex + 1 < count && !(families[queue.queueFamilyIndex].queueFlags & VK_QUEUE_COMPUTE_BIT)) {
    ++queue.queueFamilyIndex;
  }
  VkDeviceCreateInfo device_info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  device_info.pNext =
      nibFillFeatureChain(&chain, wanted.features, wanted.api_version, driver.statistics ? &statistics : nullptr);
  device_info.queueCreateInfoCount = 1;
  device_info.pQueueCreateInfos = &queue;
  device_info.enabledExtensionCount = uint32_t(extensions.size());
  device_info.ppEnabledExtensionNames = extensions.data();
  VkDevice device;
  if (OF_INSTANCE(CreateDevice)(physical, &device_info, nullptr, &device) != VK_SUCCESS) return "no logical device";
  driver.device = OF_INSTANCE(GetDeviceProcAddr);
  driver.create = PFN_vkCreateComputePipelines(driver.device(device, "vkCreateComputePipelines"));

  NibLog log{writeLog, &table};
  for (const Job* job : jobs) {
    NibRestrict restriction{sizeof restriction};
    restriction.features_mask = job->features;
    NibContextDesc desc{};
    desc.abi_version = NIB_ABI_VERSION;
    desc.struct_bytes = sizeof desc;
    desc.get_instance_proc_addr = getInstance;
    desc.instance = instance;
    desc.physical_device = physical;
    desc.device = device;
    desc.api_version = VK_API_VERSION_1_3;
    desc.features = wanted.features;
    desc.restriction = &restriction;
    desc.log = &log;
    NibContext* context;
    if (nibCreateContext(&desc, &context) != NIB_SUCCESS) return "no context";
    if (table.number++ == 0) {
      const nib::vk::Caps& caps = context->caps;
      std::fprintf(table.file, "#device %s\tfeatures 0x%x\tsubgroups %u (%u..%u)\tshared %u\tdot4 %d\thalves %d\n",
                   caps.device_name, caps.features, caps.subgroup_size, caps.min_subgroup_size, caps.max_subgroup_size,
                   caps.max_shared_bytes, caps.dot4_accelerated || caps.dot4_mixed, caps.halves_kept);
    }
    made.clear();
    NibPlan* plan;
    const NibResult result = nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(job->desc.data()), &plan);
    if (result != NIB_SUCCESS) std::fprintf(table.file, "#failed %s %d\n", job->name.c_str(), int(result));
    writePipelines(*context, job->name, table);
  }
  return nullptr;
}

// Neither plans nor contexts are destroyed, because the process ends.
void makeInChild(const vector<const Job*>& jobs, Table& table) {
  std::fflush(table.file);
  const pid_t child = fork();
  if (child == 0) {
    alarm(unsigned(120 * jobs.size()));
    const char* problem = makePlans(jobs, table);
    if (problem != nullptr) std::fprintf(table.file, "#failed %s %s\n", jobs[0]->name.c_str(), problem);
    std::fflush(table.file);
    _exit(problem == nullptr ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  table.number += int(jobs.size());
  if (!WIFSIGNALED(status)) return;
  if (jobs.size() > 1) {
    for (const Job* job : jobs) makeInChild({job}, table);
  } else {
    std::fprintf(table.file, "#failed %s signal %d\n", jobs[0]->name.c_str(), WTERMSIG(status));
  }
}

bool isWanted(const string& name, const string& words) {
  if (words.empty()) return true;
  size_t at = 0;
  while (at <= words.size()) {
    const size_t end = std::min(words.find(',', at), words.size());
    if (name.find(words.substr(at, end - at)) != string::npos) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  string chip, words;
  Table table;
  bool list = false;
  for (int i = 1; i < argc; ++i) {
    const string option = argv[i];
    if (option == "--list") {
      list = true;
      continue;
    }
    const string value = i + 1 < argc ? argv[++i] : "";
    if (option == "--chip")
      chip = value;
    else if (option == "--out")
      table.folder = value;
    else if (option == "--plans")
      words = value;
    else
      return std::fprintf(stderr, "unknown option %s\n", option.c_str()), 2;
  }
  const vector<Job> jobs = allJobs();
  vector<const Job*> wanted;
  for (const Job& job : jobs) {
    if (isWanted(job.name, words)) wanted.push_back(&job);
  }
  if (list) {
    for (const Job* job : wanted) std::puts(job->name.c_str());
    return 0;
  }
  table.file = std::fopen((table.folder + "/pipelines.tsv").c_str(), "wb");
  if (table.file == nullptr) return std::perror(table.folder.c_str()), 2;
  constexpr size_t kBatch = 8;
  for (size_t at = 0; at < wanted.size(); at += kBatch) {
    makeInChild({wanted.begin() + at, wanted.begin() + std::min(at + kBatch, wanted.size())}, table);
  }
  std::fclose(table.file);
  return 0;
}
