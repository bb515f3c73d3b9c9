//! A name for a browser that its owner recognises, from its `User-Agent`. A guess, for display only.

/// The first that occurs is the one: browsers name those that they descend from.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// Such as `Firefox`, with `Linux` as the system; each only if it is known.
pub(super) fn of(user_agent: &str) -> (Option<&'static str>, Option<&'static str>) {
    let first = |names: &[(&str, &'static str)]| names.iter().find(|(token, _)| user_agent.contains(token)).map(|(_, name)| *name);
    (first(BROWSERS), first(SYSTEMS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_browsers_are_told_apart() {
        for (user_agent, browser, system) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge",
                "Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile Safari/604.1",
                "Safari",
                "iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36",
                "Chrome",
                "Android",
            ),
        ] {
            assert_eq!(of(user_agent), (Some(browser), Some(system)), "{user_agent}");
        }
        assert_eq!(of("something else"), (None, None));
    }

    proptest! {
        /// Nothing of the header itself is shown.
        #[test]
        fn any_header_gives_a_name_of_ours_or_none(text in prop_oneof!["\\PC{0,60}", "(Mozilla/|Chrome/|Safari/|Edg/|curl/|Linux|<b>|iPhone| ){0,6}"]) {
            let named = |names: &[(&str, &'static str)]| names.iter().filter(|(token, _)| text.contains(token)).map(|(_, name)| *name).next();
            prop_assert_eq!(of(&text), (named(BROWSERS), named(SYSTEMS)));
        }
    }
}
