# C++ files that follow from shaders/kernels.list alone.
include_guard()

# The public enum and the tables of formats and ops. Called by nibble_read_list, whose lists it reads.
function(nibble_write_tables)
  # Every id is in the public enum, also of formats that this build drops: ids are permanent.
  nibble_write("${NIBBLE_GENERATED}/include/nibble/formats.h" "\
// Weight formats and their permanent numbers. Written by the build from shaders/kernels.list: do not edit.
#ifndef NIBBLE_FORMATS_H
#define NIBBLE_FORMATS_H

typedef enum NibFormat {
${enum}  NIB_FORMAT_MAX_ENUM = 0x7fffffff
} NibFormat;

#endif
")

  set(keyed "")
  foreach(format IN LISTS formats)
    list(APPEND keyed "${id_of_${format}}:${format}")
  endforeach()
  list(SORT keyed COMPARE NATURAL)
  set(declared "")
  set(rows "")
  set(kinds "")
  set(names "// Written by the build from shaders/kernels.list: do not edit.\n")
  foreach(entry IN LISTS keyed)
    string(REGEX REPLACE ".*:" "" format "${entry}")
    string(APPEND declared "extern const FormatDesc kFormat_${format};\n")
    string(APPEND rows "  &kFormat_${format},\n")
    string(APPEND kinds "  \"${kind_of_${format}}\",\n")
    string(APPEND names "NIB_FORMAT_ROW(${format})\n")
  endforeach()
  nibble_write("${NIBBLE_GENERATED}/src/formats.inc" "${names}")
  list(JOIN format_kinds "\", \"" all_kinds)
  set(all_kinds "\"${all_kinds}\"")
  list(LENGTH formats count)
  nibble_write("${NIBBLE_GENERATED}/src/format_table.cpp" "\
// Written by the build from shaders/kernels.list: do not edit.
#include \"formats/format.h\"

namespace nib {
${declared}
const FormatDesc* const kFormats[] = {
${rows}};
const char* const kFormatKinds[] = {
${kinds}};
const char* const kAllKinds[] = {${all_kinds}, nullptr};
const uint32_t kFormatCount = ${count};
}  // namespace nib
")

  set(rows "// Written by the build from shaders/kernels.list: do not edit.\n")
  foreach(op IN LISTS ops)
    string(APPEND rows "NIB_OP_ROW(${op})\n")
  endforeach()
  nibble_write("${NIBBLE_GENERATED}/src/ops.inc" "${rows}")

  set(rows "// Written by the build from shaders/kernels.list: do not edit.\n")
  foreach(op IN LISTS left_out_ops)
    string(TOUPPER "${op}" upper)
    string(APPEND rows "NIB_LEFT_OUT_OP(${op}, NIB_OP_${upper})\n")
  endforeach()
  nibble_write("${NIBBLE_GENERATED}/src/left_out_ops.inc" "${rows}")

  set(rows "// Written by the build from shaders/kernels.list: do not edit.\n")
  foreach(op IN LISTS fast_ops)
    string(APPEND rows "NIB_FAST_KERNEL(${op})\n")
  endforeach()
  string(APPEND rows "#if defined(NIB_HAS_EIGEN)\n")
  foreach(op IN LISTS fast_eigen_ops)
    string(APPEND rows "NIB_FAST_KERNEL(${op})\n")
  endforeach()
  string(APPEND rows "#endif\n")
  nibble_write("${NIBBLE_GENERATED}/src/fast_kernels.inc" "${rows}")
endfunction()

# The C++ side of every kernel's interface in one table, for tests: SOURCE_SPEC and SourcePush of shaders/ops/SOURCE.h.
function(nibble_write_interfaces)
  set(includes "")
  set(specs "")
  set(rows "")
  set(sources "")
  foreach(name IN LISTS NIBBLE_KERNELS)
    set(source ${NIBBLE_K_${name}_SOURCE})
    set(bounded false)
    if(NIBBLE_K_${name}_KIND STREQUAL "bounded")
      set(bounded true)
    endif()
    string(TOUPPER "${source}" upper)
    string(REGEX MATCHALL "[^_]+" parts "${source}")
    set(camel "")
    foreach(part IN LISTS parts)
      string(SUBSTRING "${part}" 0 1 first)
      string(SUBSTRING "${part}" 1 -1 rest)
      string(TOUPPER "${first}" first)
      string(APPEND camel "${first}${rest}")
    endforeach()
    if(NOT source IN_LIST sources)
      list(APPEND sources ${source})
      string(APPEND includes "#include \"shaders/ops/${source}.h\"\n")
      string(APPEND specs "inline constexpr SpecRow kSpec_${source}[] = {${upper}_SPEC(NIB_INTERFACE_ROW)};\n")
    endif()
    string(APPEND rows "    {\"${name}\", sizeof(${camel}Push), kSpec_${source}, "
                       "sizeof kSpec_${source} / sizeof(SpecRow), ${bounded}},\n")
  endforeach()
  nibble_write("${NIBBLE_GENERATED}/src/kernel_interfaces.h" "\
// Written by the build from shaders/kernels.list: do not edit.
#ifndef NIB_KERNEL_INTERFACES_H
#define NIB_KERNEL_INTERFACES_H

#include <bit>
#include <cstddef>
#include <cstdint>

${includes}
namespace nib {

struct SpecRow {
  std::uint32_t id;
  const char* type;  // as written: uint, int, float, nib_bool
  const char* name;
  std::uint32_t bits;  // of the default
};

struct KernelInterface {
  const char* name;
  std::size_t push_bytes;
  const SpecRow* spec;
  std::size_t spec_count;
  bool bounded;  // results have an error bound instead of exact bytes
};

// One NAME_SPEC as SpecRows.
#define NIB_INTERFACE_ROW(id, type, name, value) \\
  {id, #type, #name, std::bit_cast<std::uint32_t>(static_cast<type>(value))},
${specs}
inline constexpr KernelInterface kKernelInterfaces[] = {
${rows}};

}  // namespace nib
#endif
")
endfunction()
