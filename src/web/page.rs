//! What every page is told about itself.

/// The language of a page, and where the pages live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page<'a> {
    /// BCP 47 tag: the `lang` attribute, and the file in `locales/`.
    pub(crate) lang: &'static str,
    /// `ltr` or `rtl`.
    pub(crate) dir: &'static str,
    /// The path of the issuer without a trailing slash, before every address of ours; mostly empty.
    pub(crate) base: &'a str,
}

impl<'a> Page<'a> {
    /// A page in the only language there is so far.
    pub(crate) const fn english(base: &'a str) -> Self {
        Self { lang: "en", dir: "ltr", base }
    }
}
