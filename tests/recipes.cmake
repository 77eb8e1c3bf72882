# The recipes' binaries as users and scripts call them: `ctest -R recipes`.
set(recipe_tests ${CMAKE_CURRENT_SOURCE_DIR}/recipes)
# recipe_test(NAME ARGUMENT...): tests/recipes/NAME.sh on the folder of the binaries. On more than one rank each has one
# thread.
function(recipe_test name)
  if(NOT TARGET llama3 OR NOT TARGET debug_moe)
    skipped_test(recipes/${name} "the examples are not built")
    return()
  endif()
  add_test(NAME recipes/${name} COMMAND ${recipe_tests}/${name}.sh $<TARGET_FILE_DIR:llama3> ${ARGN})
  set_tests_properties(recipes/${name} PROPERTIES TIMEOUT 900 PROCESSORS 2 ENVIRONMENT "${test_environment}")
endfunction()

recipe_test(train)
recipe_test(errors)
recipe_test(plan)
recipe_test(use)
if(ASHLAR_PCRE2_LIBRARY AND ASHLAR_UTF8PROC_LIBRARY)
  recipe_test(tokenize)
else()
  skipped_test(recipes/tokenize "no PCRE2 or no utf8proc")
endif()
if(TARGET own_loop)
  recipe_test(own_loop)
endif()
if(TARGET llama3_lora)
  recipe_test(lora)
endif()
if(ASHLAR_MPI AND MPI_C_FOUND)
  recipe_test(mpi ${MPIEXEC_EXECUTABLE} --allow-run-as-root --oversubscribe)
else()
  skipped_test(recipes/mpi "no MPI")
endif()

# docs/equivalence.md names every layout that the tests compare.
add_test(NAME docs/equivalence
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/train/equivalence_table.sh --check $<TARGET_FILE:test_train>)
set_tests_properties(docs/equivalence PROPERTIES TIMEOUT 900 PROCESSORS 2 ENVIRONMENT "${test_environment}")
