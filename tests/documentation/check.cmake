# SPDX-License-Identifier: MIT
# Fails, naming them, where public symbols of the headers below HEADERS have no comment. Doxygen reports all kinds of
# symbols but three: values of enumerations, namespaces, structs without members. These are found in its XML.
#   cmake -D DOXYGEN=doxygen -D HEADERS=include/plinth -D OUTPUT=build/documentation -P check.cmake
if(NOT DOXYGEN)
  message("doxygen is missing: install it (Debian, Ubuntu: apt-get install doxygen) and configure again.")
  return()
endif()
file(REMOVE_RECURSE ${OUTPUT}/xml)
configure_file(${CMAKE_CURRENT_LIST_DIR}/Doxyfile.in ${OUTPUT}/Doxyfile @ONLY)
execute_process(COMMAND ${DOXYGEN} ${OUTPUT}/Doxyfile RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)

set(no_comment "<briefdescription>[ \n]*</briefdescription>[ \n]*<detaileddescription>[ \n]*</detaileddescription>")
set(no_comment_on_value "<name>([^<]*)</name>[ \n]*(<initializer>[^<]*</initializer>)?[ \n]*${no_comment}")
set(no_comment_on_compound "\n    ${no_comment}") # those of members are indented further
file(GLOB pages ${OUTPUT}/xml/*.xml)
foreach(page IN LISTS pages)
  file(READ ${page} text)
  string(REGEX REPLACE "[][;]" "," text "${text}") # would keep a list together or split it
  string(REGEX MATCH "<compoundname>([^<]*)</compoundname>" ignored "${text}")
  string(REPLACE "&lt," "<" compound "${CMAKE_MATCH_1}")
  string(REPLACE "&gt," ">" compound "${compound}")
  string(FIND "${said}" "${compound} is not documented" reported)
  if(compound MATCHES "^plinth(::|$)" AND text MATCHES "${no_comment_on_compound}" AND reported EQUAL -1
     AND NOT text MATCHES "<compounddef [^>]*prot=\"private\"")
    string(APPEND said "${compound} is not documented.\n")
  endif()
  string(REPLACE "<enumvalue" ";<enumvalue" values "${text}")
  foreach(value IN LISTS values)
    if(value MATCHES "^<enumvalue[^>]*>[ \n]*${no_comment_on_value}")
      string(APPEND said "value ${CMAKE_MATCH_1} of an enumeration in ${compound} is not documented.\n")
    endif()
  endforeach()
endforeach()
if(NOT status EQUAL 0 OR NOT said STREQUAL "")
  message("${said}") # FATAL_ERROR breaks lines
  message(FATAL_ERROR "These public symbols have no comment.")
endif()
