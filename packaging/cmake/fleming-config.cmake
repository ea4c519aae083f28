# find_package(fleming): the imported targets fleming::fleming (shared) and fleming::static.
include("${CMAKE_CURRENT_LIST_DIR}/fleming-place.cmake")

if(NOT EXISTS "${_fleming_pc}")
  set(fleming_FOUND FALSE)
  set(fleming_NOT_FOUND_MESSAGE "no pkgconfig/fleming.pc in a library folder of ${_fleming_prefix}")
  return()
endif()

if(NOT TARGET fleming::fleming AND EXISTS "${_fleming_libdir}/libfleming.so")
  add_library(fleming::fleming SHARED IMPORTED)
  set_target_properties(fleming::fleming PROPERTIES
    IMPORTED_LOCATION "${_fleming_libdir}/libfleming.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_fleming_prefix}/include")
endif()

if(NOT TARGET fleming::static AND EXISTS "${_fleming_libdir}/libfleming.a")
  # What the system has to add is known to the build that made the archive.
  file(STRINGS "${_fleming_pc}" _fleming_line REGEX "^Libs.private:")
  string(REGEX REPLACE "^Libs.private: *" "" _fleming_line "${_fleming_line}")
  separate_arguments(_fleming_private UNIX_COMMAND "${_fleming_line}")
  add_library(fleming::static STATIC IMPORTED)
  set_target_properties(fleming::static PROPERTIES
    IMPORTED_LOCATION "${_fleming_libdir}/libfleming.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_fleming_prefix}/include"
    INTERFACE_LINK_LIBRARIES "${_fleming_private}")
endif()
