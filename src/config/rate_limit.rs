//! `[rate_limit]`: how many requests are answered, and how such a number is written.

use std::{fmt, str::FromStr, time::Duration};

use confique::Config as Declared;

use super::values::{DAY, Within, parsed};

/// `[rate_limit]`
#[derive(Clone, Debug, Declared)]
pub struct RateLimit {
    /// What one address may send to each endpoint and page that anyone may ask: `"600/1m"`, which is also how many may come at once
    /// (1/1d to 1000000/1s), or `"off"`. Of IPv6 a /64 is one address; where `throttle.by_address` tells nobody apart, nothing is counted.
    #[config(default = "6000/1m", deserialize_with = parsed)]
    pub public: Rate,

    /// What one person who is signed in may ask of each page (1/1d to 1000000/1s), or `"off"`.
    #[config(default = "600/1m", deserialize_with = parsed)]
    pub signed_in: Rate,

    /// What one client that proved who it is may send to each endpoint (1/1d to 1000000/1s), or `"off"`. Public clients prove
    /// nothing: they are counted by address alone.
    #[config(default = "1000000/1m", deserialize_with = parsed)]
    pub client: Rate,
}

/// So many requests in so long, or any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    Off,
    Of { requests: u32, window: Duration },
}

/// The text is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRate;

impl fmt::Display for NoRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be \"off\", or a number of requests and a time from 1/1d to 1000000/1s, written like \"600/1m\"")
    }
}

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let (requests, window) = text.split_once('/').ok_or(NoRate)?;
        let requests = requests.trim().parse().ok().filter(|requests| (1..=1_000_000).contains(requests)).ok_or(NoRate)?;
        let window = Within::<1, DAY>::parse_duration(window).map_err(|_| NoRate)?;
        Ok(Self::Of { requests, window })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_time_or_off() {
        let of = |requests, seconds| Ok(Rate::Of { requests, window: Duration::from_secs(seconds) });
        for (text, expected) in [
            ("off", Ok(Rate::Off)),
            ("600/1m", of(600, 60)),
            ("1/1d", of(1, 86_400)),
            ("1000000/1s", of(1_000_000, 1)),
            (" 10 / 1m 30s ", of(10, 90)),
        ] {
            assert_eq!(text.parse::<Rate>(), expected, "{text}");
        }
        for text in
            ["", "Off", "600", "600/", "/1m", "0/1m", "-1/1m", "600/0s", "600/2d", "600/m", "600/60", "1000001/1s", "600/1m/1m", "1.5/1m"]
        {
            assert_eq!(text.parse::<Rate>(), Err(NoRate), "{text:?}");
        }
    }
}
