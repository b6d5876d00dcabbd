// LIFETIMEBOUND marks a parameter whose life bounds the returned view or reference. clang warns
// when such a view outlives it. Put it on the declaration and on the definition.
#pragma once

#if defined(__clang__)
#define LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define LIFETIMEBOUND
#endif
