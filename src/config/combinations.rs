//! Settings that are fine alone and wrong together.

use std::{collections::BTreeMap, fs, time::Duration};

use crate::oauth::Issuer;

use super::{
    mistakes::Mistakes,
    settings::{Passwords, Settings},
    sources::Given,
};

/// Memory in KiB and passes of equal strength, the least that OWASP's Password Storage Cheat Sheet advises.
const ARGON2_LEAST: &[(u32, u32)] = &[(7_168, 5), (9_216, 4), (12_288, 3), (19_456, 2), (47_104, 1)];

/// Reports what does not fit together, and lets defaults give way to what the operator said.
/// Answers with the settings whose default gave way, and to which.
pub(super) fn check(
    settings: &mut Settings,
    issuer: Option<&Issuer>,
    given: &BTreeMap<String, Given>,
    mistakes: &mut Mistakes,
) -> Vec<(&'static str, &'static str)> {
    let mut gave_way = Vec::new();
    let mut at_most = |(key, value): (&'static str, &mut Duration), (limit_key, limit): (&'static str, Duration)| {
        if *value <= limit || mistakes.concern(&[key, limit_key]) {
            return;
        }
        if let Some(said) = given.get(key) {
            mistakes.push(said.mistake(longer_than(limit_key)));
        } else {
            *value = limit;
            gave_way.push((key, limit_key));
        }
    };
    let tokens = &mut settings.tokens;
    let refresh = ("tokens.refresh_token_ttl", tokens.refresh_token_ttl);
    at_most(("tokens.refresh_token_idle_ttl", &mut tokens.refresh_token_idle_ttl), refresh);
    let session = &mut settings.session;
    at_most(("session.idle_ttl", &mut session.idle_ttl), ("session.ttl", session.ttl));

    let access = given.get("tokens.access_token_ttl").filter(|_| settings.tokens.access_token_ttl > refresh.1);
    if let Some(said) = access.filter(|_| !mistakes.concern(&["tokens.access_token_ttl", refresh.0])) {
        mistakes.push(said.mistake(longer_than(refresh.0)));
    }

    check_traces(settings, given, mistakes);
    check_listeners(settings, given, mistakes);
    check_rotation(settings, given, mistakes);
    check_ca_file(settings, given, mistakes);
    check_statements(settings, given, mistakes);
    check_hash_strength(&settings.passwords, issuer, given, mistakes);
    gave_way
}

fn longer_than(limit: &str) -> String {
    format!("must not be longer than {limit}: shorten it, or lengthen {limit}")
}

/// Whoever wants traces must not wait for them in vain.
fn check_traces(settings: &Settings, given: &BTreeMap<String, Given>, mistakes: &mut Mistakes) {
    let is_in_vain = settings.telemetry.otlp_endpoint.is_some() && cfg!(not(feature = "otlp"));
    if let Some(said) = given.get("telemetry.otlp_endpoint").filter(|_| is_in_vain) {
        mistakes.push(said.mistake(
            "needs a program that can trace, and this one was built without the feature otlp: build it without --no-default-features, or \
             remove the setting",
        ));
    }
}

/// Two listeners share no port.
fn check_listeners(settings: &Settings, given: &BTreeMap<String, Given>, mistakes: &mut Mistakes) {
    let is_taken = settings.metrics.listen.is_some_and(|listen| listen.port() != 0 && listen == settings.listen);
    if let Some(said) = given.get("metrics.listen").filter(|_| is_taken && !mistakes.concern(&["metrics.listen", "listen"])) {
        mistakes.push(said.mistake("is the address of the server itself, which shows no metrics: choose another port, such as 9464"));
    }
}

/// A key that is due for rotation before it signs would never sign; one that is due before its tokens end would pile up.
fn check_rotation(settings: &Settings, given: &BTreeMap<String, Given>, mistakes: &mut Mistakes) {
    const INTERVAL: &str = "keys.rotation_interval";
    let Some(said) = given.get(INTERVAL) else { return };
    let keys = &settings.keys;
    if keys.rotation_interval.is_zero()
        || mistakes.concern(&[INTERVAL, "keys.jwks_max_age", "keys.clock_margin", "tokens.access_token_ttl"])
    {
        return;
    }
    if keys.rotation_interval <= keys.jwks_max_age + keys.clock_margin {
        mistakes.push(said.mistake(
            "must be longer than keys.jwks_max_age and keys.clock_margin together, for so long a new key waits before it signs: \
             lengthen it, or shorten these; 0s turns rotation off",
        ));
    } else if keys.rotation_interval < settings.tokens.access_token_ttl {
        mistakes.push(said.mistake(
            "must not be shorter than tokens.access_token_ttl, for so long an old key stays published: lengthen it, or shorten \
             tokens.access_token_ttl; 0s turns rotation off",
        ));
    }
}

/// The file is read again where connections are made; here its mistake is told beside the others.
fn check_ca_file(settings: &Settings, given: &BTreeMap<String, Given>, mistakes: &mut Mistakes) {
    let (Some(path), Some(said)) = (&settings.outbound.ca_file, given.get("outbound.ca_file")) else { return };
    match fs::read_to_string(path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => {}
        Ok(_) => mistakes.push(said.mistake("the file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")),
        Err(error) => mistakes.push(said.mistake(format!("the file cannot be read: {error}"))),
    }
}

/// Nobody could register.
fn check_statements(settings: &Settings, given: &BTreeMap<String, Given>, mistakes: &mut Mistakes) {
    const REQUIRED: &str = "registration.require_software_statement";
    const ISSUERS: &str = "registration.software_statement_issuers";
    let registration = &settings.registration;
    let cannot_be = registration.require_software_statement && registration.software_statement_issuers.is_empty();
    if let Some(said) = given.get(REQUIRED).filter(|_| cannot_be && !mistakes.concern(&[REQUIRED, ISSUERS])) {
        mistakes.push(said.mistake(format!("needs someone whose statements are believed: name them in {ISSUERS}")));
    }
}

fn check_hash_strength(passwords: &Passwords, issuer: Option<&Issuer>, given: &BTreeMap<String, Given>, mistakes: &mut Mistakes) {
    const KEYS: [&str; 2] = ["passwords.argon2_memory_kib", "passwords.argon2_iterations"];
    let Passwords { argon2_memory_kib: memory, argon2_iterations: passes, .. } = *passwords;
    let strong = ARGON2_LEAST.iter().any(|(least_memory, least_passes)| memory >= *least_memory && passes >= *least_passes);
    if strong || issuer.is_none_or(Issuer::is_loopback) || mistakes.concern(&KEYS) {
        return;
    }
    if let Some(said) = KEYS.iter().find_map(|key| given.get(*key)) {
        mistakes.push(said.mistake(format!(
            "{memory} KiB with {passes} passes are too easy to guess against: \
             use 19456 with 2 (the defaults), 47104 with 1, 12288 with 3, 9216 with 4 or 7168 with 5, or more"
        )));
    }
}
