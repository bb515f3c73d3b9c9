//! Keys by HKDF-SHA-256 (RFC 5869), and AES-256-GCM with what was sealed bound to its place.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk},
    hmac,
};
use zeroize::Zeroizing;

use super::random;

/// HKDF-Extract (RFC 5869 §2.2).
pub(super) fn extract(salt: &[u8], material: &[u8]) -> Zeroizing<[u8; 32]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), material);
    Zeroizing::new(tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes"))
}

/// HKDF-Expand (RFC 5869 §2.3): one key for each label.
pub(super) fn derive(root: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let root = Prk::new_less_safe(HKDF_SHA256, root);
    root.expand(&[label], HKDF_SHA256).and_then(|material| material.fill(&mut *key)).expect("HKDF-SHA-256 can fill 32 bytes");
    key
}

pub(super) fn aead_key(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("AES-256 keys have 32 bytes"))
}

/// AES-256-GCM: a random nonce, then ciphertext and tag.
pub(super) fn seal(key: &LessSafeKey, associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce = random::<NONCE_LEN>();
    let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut sealed[NONCE_LEN..])
        .expect("the plaintext is far below AES-GCM's limit");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

pub(super) fn open(key: &LessSafeKey, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plain_len = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(associated), &mut buffer).ok()?.len();
    buffer.truncate(plain_len);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    /// RFC 5869, Appendix A.1: the pseudorandom key, and the first 32 bytes of what follows from it.
    #[test]
    fn the_example_of_the_rfc_is_extracted_and_expanded() {
        let root = extract(&bytes("000102030405060708090a0b0c"), &[0x0b; 22]);
        assert_eq!(root.as_slice(), bytes("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
        let derived = derive(&root, &bytes("f0f1f2f3f4f5f6f7f8f9"));
        assert_eq!(derived.as_slice(), bytes("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"));
    }
}
