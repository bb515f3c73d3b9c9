//! The key that seals what the database must not show.

use std::{fmt, path::PathBuf, str::FromStr};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

const LENGTH: usize = 32;

/// Padding is optional: operators paste what `openssl`, a key manager or a URL-safe encoder printed.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// 32 bytes, wiped when dropped. `Debug` masks them.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey(Zeroizing<[u8; LENGTH]>);

impl MasterKey {
    /// The bytes themselves, for what seals with them.
    pub fn expose(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl FromStr for MasterKey {
    type Err = &'static str;

    /// From base64, base64url or hex; white space around it is ignored.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let bytes = if text.len() == 2 * LENGTH { hex(text) } else { BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok() };
        let bytes = Zeroizing::new(bytes.unwrap_or_default());
        let key = <[u8; LENGTH]>::try_from(bytes.as_slice())
            .map_err(|_| "must be 32 bytes as base64, base64url or hex, such as `openssl rand -base64 32` prints")?;
        Ok(Self(Zeroizing::new(key)))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeySource {
    /// By the operator, as a value or in a file that has been read.
    Given(MasterKey),
    /// The server's own file, which it makes at its first start (SQLite only).
    File(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "fbff00000000000000000000000000000000000000000000000000000000000a";

    #[test]
    fn base64_base64url_and_hex_give_the_same_key() {
        let key: MasterKey = HEX.parse().expect("hex");
        for text in [
            "+/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAo=",
            "+/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAo",
            "-_8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAo=",
            "-_8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAo",
            &HEX.to_uppercase(),
            &format!(" {HEX}\n"),
        ] {
            assert_eq!(text.parse(), Ok(key.clone()), "{text}");
        }
        assert_eq!(key.expose()[..2], [0xfb, 0xff]);
    }

    #[test]
    fn another_length_or_alphabet_is_refused() {
        for text in ["", "secret", "AAAA", &HEX[2..], &HEX.replace('f', "g"), &"A".repeat(64), &"é".repeat(32)] {
            let read = text.parse::<MasterKey>();
            assert_eq!(read.is_ok(), text == "A".repeat(64), "{text}");
        }
    }

    #[test]
    fn debug_output_masks_the_key() {
        let source = MasterKeySource::Given(HEX.parse().expect("hex"));
        assert_eq!(format!("{source:?}"), "Given(MasterKey(***))");
    }
}
