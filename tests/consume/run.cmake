# cmake -D step=... -P run.cmake: one way to use nibble in another project.
#   install         installs the build tree `build` into `work`/prefix; the other steps use that
#   find_package, no_exceptions, plain_c     a project against the package
#   spirv           the sources in another project, with compiled modules and no shader compiler
#   add_subdirectory  the same with a shader compiler, in the tree that `spirv` leaves if there is Vulkan
#   spirv_all, add_subdirectory_alone  (long list) the same optimized and apart, spirv with all formats
#   no_vulkan       (long list) the sources alone, with -DNIBBLE_VULKAN=OFF and all formats
#   pkg_config      plain compiler command lines
#   abi             the shared library exports nibble.h's functions alone, and an application of an earlier release runs
#   vulkan_app      programs with Vulkan functions of their own beside nibble::kit; no archive has a symbol vk*
#   shader          an application's GLSL that includes the decode headers
# Every step: source, build, work, config, generator, make, cc, cxx, flags, glslang, pkg_config, nm, vulkan.
cmake_minimum_required(VERSION 3.22)
set(prefix "${work}/prefix")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${step}: failed (${failed}): ${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# Neither optimized nor with debug information: for tests that are mainly about what is built.
set(quick -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG= -DCMAKE_CXX_FLAGS_DEBUG=)

# build_and_run(PROJECT [CMAKE OPTIONS...]): in the folder ${tree}, or if that is not set, in a new one.
function(build_and_run project)
  if(NOT tree)
    set(tree "${work}/${step}")
    file(REMOVE_RECURSE "${tree}")
  endif()
  run("${CMAKE_COMMAND}" -S "${source}/tests/consume/${project}" -B "${tree}" -G "${generator}"
      "-DCMAKE_MAKE_PROGRAM=${make}" "-DCMAKE_BUILD_TYPE=${config}" "-DCMAKE_PREFIX_PATH=${prefix}"
      "-DCMAKE_C_COMPILER=${cc}" "-DCMAKE_CXX_COMPILER=${cxx}" "-DCMAKE_C_FLAGS=${flags}" "-DCMAKE_CXX_FLAGS=${flags}"
      "-DCMAKE_RUNTIME_OUTPUT_DIRECTORY=${tree}/bin" ${ARGN})
  set(configured "${output}" PARENT_SCOPE)
  run("${CMAKE_COMMAND}" --build "${tree}" --config "${config}")
  file(GLOB programs "${tree}/bin/*consumer*")
  if(NOT programs)
    message(FATAL_ERROR "${step}: no program was built")
  endif()
  foreach(program IN LISTS programs)
    run("${program}")
  endforeach()
endfunction()

if(step STREQUAL "install")
  file(REMOVE_RECURSE "${prefix}")
  run("${CMAKE_COMMAND}" --install "${build}" --prefix "${prefix}" --config "${config}")

elseif(step MATCHES "^(find_package|no_exceptions|plain_c)$")
  build_and_run(${step})

elseif(step MATCHES "^(spirv|spirv_all)$")
  set(tree "${work}/subproject")
  set(options -DNIBBLE_FORMATS=int8)  # as a game would
  if(step STREQUAL "spirv_all")
    set(tree "${work}/${step}")
    set(options "")
  else()
    set(config Debug)
    list(APPEND options ${quick})
  endif()
  file(REMOVE_RECURSE "${tree}")
  build_and_run(add_subdirectory "-DNIBBLE_SOURCE=${source}" -DNIBBLE_KIT=OFF -DNIBBLE_GLSLANG=OFF
                -DNIBBLE_SPIRV_VAL=OFF -DNIBBLE_SPIRV_OPT=OFF "-DNIBBLE_SPIRV_DIR=${prefix}/share/nibble/spirv"
                ${options})
  # There is a module for every format; a missing one is named.
  file(REMOVE_RECURSE "${work}/lacking" "${work}/lacking_build")
  file(COPY "${prefix}/share/nibble/spirv/" DESTINATION "${work}/lacking")
  set(configure "${CMAKE_COMMAND}" -S "${source}" -B "${work}/lacking_build" -G "${generator}"
      "-DCMAKE_MAKE_PROGRAM=${make}" "-DCMAKE_CXX_COMPILER=${cxx}" -DNIBBLE_GLSLANG=OFF -DNIBBLE_KIT=OFF
      -DNIBBLE_MODEL=OFF -DNIBBLE_TESTS=OFF -DNIBBLE_EXAMPLES=OFF "-DNIBBLE_SPIRV_DIR=${work}/lacking")
  run(${configure})
  file(REMOVE "${work}/lacking/reduce.spv")
  execute_process(COMMAND ${configure} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT failed OR NOT output MATCHES "has no reduce\\.spv")
    message(FATAL_ERROR "spirv: a missing module was not reported:\n${output}")
  endif()

elseif(step STREQUAL "add_subdirectory")
  # The C++ files are compiled already; the compiler's modules replace the ready ones.
  set(config Debug)
  if(vulkan)
    set(tree "${work}/subproject")
  endif()
  build_and_run(add_subdirectory "-DNIBBLE_SOURCE=${source}" -DNIBBLE_FORMATS=int8 -DNIBBLE_KIT=OFF
                "-DNIBBLE_VULKAN=${vulkan}" "-DNIBBLE_GLSLANG=${glslang}" -DNIBBLE_SPIRV_DIR= -DNIBBLE_SPIRV_VAL=OFF
                -DNIBBLE_SPIRV_OPT=OFF ${quick})

elseif(step STREQUAL "add_subdirectory_alone")
  build_and_run(add_subdirectory "-DNIBBLE_SOURCE=${source}" -DNIBBLE_FORMATS=int8 -DNIBBLE_KIT=OFF
                "-DNIBBLE_VULKAN=${vulkan}" "-DNIBBLE_GLSLANG=${glslang}")

elseif(step STREQUAL "no_vulkan")
  # The libraries, tool and examples without Vulkan headers or a shader compiler, and without warnings. partial_build
  # does this with few formats and without nibble::model.
  set(tree "${work}/${step}")
  file(REMOVE_RECURSE "${tree}")
  run("${CMAKE_COMMAND}" -S "${source}" -B "${tree}" -G "${generator}" "-DCMAKE_MAKE_PROGRAM=${make}"
      ${quick} "-DCMAKE_CXX_COMPILER=${cxx}" "-DCMAKE_CXX_FLAGS=${flags} -Werror"
      -DNIBBLE_VULKAN=OFF -DNIBBLE_TESTS=OFF -DNIBBLE_BENCH=OFF)
  run("${CMAKE_COMMAND}" --build "${tree}" --config Debug)
  run("${tree}/bin/nibble_example_quantize")
  run("${tree}/bin/nibble" devices)
  run("${tree}/bin/nibble" selftest --device cpu --every 1000 --type int4,q5_1)

elseif(step STREQUAL "abi")
  set(tree "${work}/${step}")
  set(spirv -DNIBBLE_VULKAN=OFF)
  if(vulkan)
    set(spirv "-DNIBBLE_SPIRV_DIR=${prefix}/share/nibble/spirv")
  endif()
  run("${CMAKE_COMMAND}" -S "${source}" -B "${tree}" -G "${generator}" "-DCMAKE_MAKE_PROGRAM=${make}" ${quick}
      "-DCMAKE_CXX_COMPILER=${cxx}" "-DCMAKE_CXX_FLAGS=${flags}" -DNIBBLE_SHARED=ON -DNIBBLE_FORMATS=int8
      -DNIBBLE_KIT=OFF -DNIBBLE_MODEL=OFF -DNIBBLE_TESTS=OFF -DNIBBLE_TOOLS=OFF -DNIBBLE_BENCH=OFF
      -DNIBBLE_EXAMPLES=OFF -DNIBBLE_GLSLANG=OFF -DNIBBLE_SPIRV_VAL=OFF -DNIBBLE_SPIRV_OPT=OFF ${spirv})
  run("${CMAKE_COMMAND}" --build "${tree}" --target nibble nibble_shared)
  # Exported: every function that the headers mark, and nothing else.
  file(GLOB headers "${source}/include/nibble/*.h" "${source}/include/nibble/ops/*.h")
  set(declared "")
  foreach(header IN LISTS headers)
    file(READ "${header}" text)
    if(NOT vulkan)
      string(REGEX REPLACE "#if !defined\\(NIB_NO_VULKAN\\)[^#]*#endif" "" text "${text}")
    endif()
    string(REGEX MATCHALL "NIB_API [^;(]*\\(" functions "${text}")
    foreach(function IN LISTS functions)
      string(REGEX MATCH "nib[A-Za-z]+" name "${function}")
      list(APPEND declared "${name}")
    endforeach()
  endforeach()
  list(LENGTH declared count)
  if(count LESS 30)
    message(FATAL_ERROR "abi: the headers declare only ${count} functions")
  endif()
  run("${nm}" -D --defined-only "${tree}/libnibble.so")
  string(REGEX MATCHALL " [TDBVW] [^\n@]+" symbols "${output}")
  set(exported "")
  foreach(symbol IN LISTS symbols)
    string(REGEX REPLACE "^ . " "" symbol "${symbol}")
    list(APPEND exported "${symbol}")
  endforeach()
  set(missing ${declared})
  list(REMOVE_ITEM missing ${exported})
  set(foreign ${exported})
  list(REMOVE_ITEM foreign ${declared})
  if(NOT vulkan)
    set(missing "")  # the headers' Vulkan part is not told from the rest here
  endif()
  if(missing OR foreign)
    message(FATAL_ERROR "abi: libnibble.so lacks '${missing}' and exports '${foreign}'")
  endif()
  set(no_vulkan "")
  if(NOT vulkan)
    set(no_vulkan -DNIB_NO_VULKAN)
  endif()
  separate_arguments(flags UNIX_COMMAND "${flags}")
  set(app "${cc}" ${flags} -std=c11 ${no_vulkan} "-I${source}/tests/consume/abi/frozen"
      "${source}/tests/consume/abi/main.c")
  run(${app} -DNIB_SHARED "-L${tree}" -lnibble "-Wl,-rpath,${tree}" -o "${tree}/app_shared")
  run("${tree}/app_shared")
  run(${app} "${tree}/libnibble.a" -lstdc++ -lm -pthread -o "${tree}/app_static")
  run("${tree}/app_static")
  file(REMOVE_RECURSE "${tree}")

elseif(step STREQUAL "vulkan_app")
  build_and_run(${step} ${quick})
  file(GLOB_RECURSE archives "${prefix}/*/libnibble*.a")
  if(nm AND archives)
    foreach(archive IN LISTS archives)
      run("${nm}" "${archive}")
      string(REGEX MATCHALL "\n[0-9a-f ]+[A-Za-z] _?(vk[A-Z]|volk)[A-Za-z0-9_]*" symbols "${output}")
      if(symbols)
        list(JOIN symbols "" symbols)
        message(FATAL_ERROR "${archive} has symbols of Vulkan's or volk's names:${symbols}")
      endif()
    endforeach()
  endif()

elseif(step STREQUAL "pkg_config")
  file(GLOB_RECURSE pc "${prefix}/*/nibble.pc")
  get_filename_component(pc_dir "${pc}" DIRECTORY)
  set(ENV{PKG_CONFIG_PATH} "${pc_dir}")
  run("${pkg_config}" --cflags --libs nibble)
  separate_arguments(arguments UNIX_COMMAND "${output}")
  separate_arguments(flags UNIX_COMMAND "${flags}")
  file(MAKE_DIRECTORY "${work}/pkg_config")
  set(program "${work}/pkg_config/consumer")
  run("${cc}" ${flags} -std=c11 -pedantic -Werror "${source}/tests/consume/plain_c/main.c" -o "${program}" ${arguments})
  run("${program}")
  run("${cxx}" ${flags} -std=c++20 "${source}/tests/consume/find_package/main.cpp" -o "${program}" ${arguments})
  run("${program}")
  if(EXISTS "${pc_dir}/nibble-kit.pc")
    run("${pkg_config}" --cflags --libs nibble-kit)
    separate_arguments(arguments UNIX_COMMAND "${output}")
    run("${cxx}" ${flags} -std=c++20 "${source}/tests/consume/find_package/kit.cpp" -o "${program}" ${arguments})
    run("${program}")
  endif()

elseif(step STREQUAL "shader")
  file(GLOB formats "${prefix}/share/nibble/shaders/formats/*/format.glsl")
  if(NOT formats)
    message(FATAL_ERROR "shader: no format headers were installed")
  endif()
  foreach(format IN LISTS formats)
    get_filename_component(dir "${format}" DIRECTORY)
    run("${glslang}" -V --target-env vulkan1.1 "-I${prefix}/share/nibble/shaders" "-I${dir}" -o "${work}/app.spv"
        "${source}/tests/consume/shader/app.comp")
  endforeach()

else()
  message(FATAL_ERROR "no step ${step}")
endif()
