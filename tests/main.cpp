// The main function of every test executable, with Catch2 version 2. Version 3 brings its own.
#define CATCH_CONFIG_MAIN
#include "catch.hpp"
