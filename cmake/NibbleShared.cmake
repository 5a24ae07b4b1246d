# The core as a shared library, nibble::shared: libnibble.so.ABI, or nibble.dll. It exports the functions of nibble.h
# and nothing else. Its file name holds NIB_ABI_VERSION, so that two versions can be installed side by side.
file(STRINGS "${PROJECT_SOURCE_DIR}/include/nibble/types.h" line REGEX "^#define NIB_ABI_VERSION [0-9]+u$")
string(REGEX MATCH "[0-9]+" nibble_abi "${line}")

# Compiled again, because exported functions are marked in the objects.
nibble_library(nibble_shared_core OBJECT ${core_sources} ${NIBBLE_LISTED_SOURCES})
target_link_libraries(nibble_shared_core PUBLIC nibble_api)
target_compile_definitions(nibble_shared_core PRIVATE NIB_SHARED_BUILD)
if(MSVC)
  target_compile_options(nibble_shared_core PRIVATE /GR-)
  target_compile_definitions(nibble_shared_core PRIVATE _HAS_EXCEPTIONS=0)
else()
  target_compile_options(nibble_shared_core PRIVATE -fno-exceptions -fno-rtti)
endif()
set(objects $<TARGET_OBJECTS:nibble_shared_core>)
if(NIBBLE_VULKAN)
  list(APPEND objects $<TARGET_OBJECTS:nibble_kernels_default>)
endif()
nibble_library(nibble_shared SHARED ${objects})
set_target_properties(nibble_shared PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME shared OUTPUT_NAME nibble
                      VERSION "${nibble_abi}.${PROJECT_VERSION}" SOVERSION "${nibble_abi}")
target_link_libraries(nibble_shared PUBLIC nibble_api PRIVATE Threads::Threads)
target_compile_definitions(nibble_shared INTERFACE NIB_SHARED)
if(UNIX AND NOT APPLE)
  # Symbols get the version of the ABI; everything else is local, whatever the compiler's libraries contain.
  nibble_write("${NIBBLE_GENERATED}/nibble.map" "NIBBLE_${nibble_abi} { global: nib[A-Z]*; local: *; };\n")
  target_link_options(nibble_shared PRIVATE "-Wl,--version-script=${NIBBLE_GENERATED}/nibble.map" -Wl,--no-undefined)
  set_target_properties(nibble_shared PROPERTIES LINK_DEPENDS "${NIBBLE_GENERATED}/nibble.map")
endif()
add_library(nibble::shared ALIAS nibble_shared)
