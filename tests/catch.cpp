// What the precompiled catch.hpp of all tests belongs to.
#include "catch.hpp"
