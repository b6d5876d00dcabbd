// The distribution has no archive of fmt. This is one: fmt's definitions, and the templates that
// its headers declare and leave to the library.
#include <fmt/format-inl.h>

#include <locale>

namespace fmt::detail {
#if FMT_VERSION >= 100000
template void vformat_to<char>(buffer<char>&, basic_string_view<char>, vformat_args<char>::type,
                               locale_ref);
#endif
template thousands_sep_result<char> thousands_sep_impl<char>(locale_ref);
template char decimal_point_impl<char>(locale_ref);
template std::locale locale_ref::get<std::locale>() const;
template dragonbox::decimal_fp<float> dragonbox::to_decimal<float>(float) noexcept;
template dragonbox::decimal_fp<double> dragonbox::to_decimal<double>(double) noexcept;
}  // namespace fmt::detail
