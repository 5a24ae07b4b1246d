# Install rules: the CMake package, the pkg-config file, headers, the shader headers that an application may include in
# its GLSL, and (component spirv) the compiled modules, for builds without a shader compiler.
include(CMakePackageConfigHelpers)

set(nibble_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/nibble")
set(nibble_data_dir "${CMAKE_INSTALL_DATADIR}/nibble")

set(nibble_installed nibble nibble_api)
install(DIRECTORY include/nibble DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h" PATTERN "kit.h" EXCLUDE PATTERN "graph.h" EXCLUDE)
install(FILES "${NIBBLE_GENERATED}/include/nibble/formats.h"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/nibble")
if(NIBBLE_KIT)
  list(APPEND nibble_installed nibble_kit nibble_graph)
  install(FILES include/nibble/kit.h include/nibble/graph.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/nibble")
endif()
if(NIBBLE_SHARED)
  list(APPEND nibble_installed nibble_shared)
endif()
install(TARGETS ${nibble_installed} EXPORT nibbleTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(EXPORT nibbleTargets NAMESPACE nibble:: DESTINATION "${nibble_package_dir}")

# The archive is C++. A C program does not link the C++ runtime implicitly, so the package names its libraries.
set(nibble_cxx_runtime "")
foreach(library stdc++ c++ m)
  if(library IN_LIST CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
    list(APPEND nibble_cxx_runtime ${library})
  endif()
endforeach()

configure_package_config_file(cmake/nibbleConfig.cmake.in "${NIBBLE_GENERATED}/nibbleConfig.cmake"
  INSTALL_DESTINATION "${nibble_package_dir}" PATH_VARS nibble_data_dir NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${NIBBLE_GENERATED}/nibbleConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${NIBBLE_GENERATED}/nibbleConfig.cmake" "${NIBBLE_GENERATED}/nibbleConfigVersion.cmake"
              cmake/FindVulkanHeaders.cmake
        DESTINATION "${nibble_package_dir}")

# Relative to the .pc file, so that the tree can be moved and --prefix can be given at install time.
file(RELATIVE_PATH nibble_pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" nibble_pc_prefix "${nibble_pc_prefix}")
set(nibble_pc_cflags "")
if(NOT NIBBLE_VULKAN)
  set(nibble_pc_cflags " -DNIB_NO_VULKAN")
endif()
list(TRANSFORM nibble_cxx_runtime PREPEND "-l" OUTPUT_VARIABLE nibble_pc_libs)
list(JOIN nibble_pc_libs " " nibble_pc_libs)
string(STRIP "${CMAKE_THREAD_LIBS_INIT} ${nibble_pc_libs}" nibble_pc_libs)
configure_file(cmake/nibble.pc.in "${NIBBLE_GENERATED}/nibble.pc" @ONLY)
install(FILES "${NIBBLE_GENERATED}/nibble.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(NIBBLE_KIT)
  list(TRANSFORM CMAKE_DL_LIBS PREPEND "-l" OUTPUT_VARIABLE nibble_pc_kit_libs)
  list(JOIN nibble_pc_kit_libs " " nibble_pc_kit_libs)
  configure_file(cmake/nibble-kit.pc.in "${NIBBLE_GENERATED}/nibble-kit.pc" @ONLY)
  install(FILES "${NIBBLE_GENERATED}/nibble-kit.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()

install(DIRECTORY shaders/formats DESTINATION "${nibble_data_dir}/shaders"
        FILES_MATCHING PATTERN "*.glsl" PATTERN "*.h")
install(FILES shaders/common/nibble_constants.h DESTINATION "${nibble_data_dir}/shaders/common")
install(FILES shaders/numerics/exact.glsl shaders/numerics/product.glsl shaders/numerics/scale_store.glsl
        DESTINATION "${nibble_data_dir}/shaders/numerics")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")

if(NIBBLE_VULKAN)
  nibble_write("${NIBBLE_GENERATED}/spirv-version.txt" "${PROJECT_VERSION}\n")
  get_property(nibble_spirv_files GLOBAL PROPERTY NIBBLE_SPIRV_FILES)
  install(FILES ${nibble_spirv_files} DESTINATION "${nibble_data_dir}/spirv" COMPONENT spirv)
  install(FILES "${NIBBLE_GENERATED}/spirv-version.txt" DESTINATION "${nibble_data_dir}/spirv" RENAME VERSION
          COMPONENT spirv)
endif()
