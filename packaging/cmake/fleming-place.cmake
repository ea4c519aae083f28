# Where this copy of fleming is, seen from its own place, and what its pkg-config file says of it.
get_filename_component(_fleming_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
foreach(_fleming_folder "lib/${CMAKE_LIBRARY_ARCHITECTURE}" lib lib64)
  set(_fleming_libdir "${_fleming_prefix}/${_fleming_folder}")
  set(_fleming_pc "${_fleming_libdir}/pkgconfig/fleming.pc")
  if(EXISTS "${_fleming_pc}")
    break()
  endif()
endforeach()
