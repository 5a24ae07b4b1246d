# Sourced, after archive.sh: Vulkan libraries that Debian ships only inside its Chromium package: SwiftShader (a
# software driver near Vulkan's guaranteed minimum) and a recent validation layer. The package is unpacked, not
# installed.
# shellcheck shell=bash

# chromium_vulkan: prints the folder of both libraries, with the json files through which a Vulkan loader finds them.
# Both come from one download.
chromium_vulkan() {
  local have=$NIBBLE_CACHE/chromium lib
  [ -e "$have/version" ] || one_at_a_time chromium
  if [ ! -e "$have/version" ]; then
    work_dir
    say "unpacking two libraries of chromium-common (about 30 MB to download)"
    download_package chromium-common "$WORK/deb" || return 1
    mkdir "$WORK/out" "$WORK/out/layers"
    lib=usr/lib/chromium
    dpkg-deb --fsys-tarfile "$WORK"/deb/chromium-common_*.deb |
      tar -x -C "$WORK/out" --strip-components=4 "./$lib/libvk_swiftshader.so" \
          "./$lib/libVkLayer_khronos_validation.so" ||
      { say "chromium-common does not hold these libraries any more"; return 1; }
    # Absolute paths, because a loader looks up a bare name in the system's folders. The files declare only the
    # properties that the loader needs; driver and layer report the rest themselves.
    cat > "$WORK/out/swiftshader_icd.json" <<JSON
{"file_format_version": "1.0.0",
 "ICD": {"library_path": "$have/libvk_swiftshader.so", "api_version": "1.3.0"}}
JSON
    cat > "$WORK/out/layers/VkLayer_khronos_validation.json" <<JSON
{"file_format_version": "1.1.0",
 "layer": {"name": "VK_LAYER_KHRONOS_validation", "type": "GLOBAL",
           "library_path": "$have/libVkLayer_khronos_validation.so",
           "api_version": "1.3.0", "implementation_version": "1", "description": "Khronos validation layer",
           "instance_extensions": [{"name": "VK_EXT_debug_report", "spec_version": "10"},
                                   {"name": "VK_EXT_debug_utils", "spec_version": "2"},
                                   {"name": "VK_EXT_validation_features", "spec_version": "6"},
                                   {"name": "VK_EXT_layer_settings", "spec_version": "2"}],
           "device_extensions": [{"name": "VK_EXT_validation_cache", "spec_version": "1",
                                  "entrypoints": ["vkCreateValidationCacheEXT", "vkDestroyValidationCacheEXT",
                                                  "vkGetValidationCacheDataEXT", "vkMergeValidationCachesEXT"]},
                                 {"name": "VK_EXT_tooling_info", "spec_version": "1",
                                  "entrypoints": ["vkGetPhysicalDeviceToolPropertiesEXT"]}]}}
JSON
    dpkg-deb -f "$WORK"/deb/chromium-common_*.deb Version > "$WORK/out/version"
    publish "$WORK/out" chromium
  fi
  printf '%s\n' "$have"
}
