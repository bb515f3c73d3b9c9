//! Throttling of sign-in: guesses are delayed by account and by address, and no stranger's guesses keep anyone out.

use futures_util::future::{join, join_all};

use crate::{
    harness::{Answer, Backend, TestServer, app::timestamp, browser::PASSWORD, process::run_with_input},
    on_every_backend,
};

const HOME: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.9";
const MINUTE: u64 = 60;

/// A sign-in from an address, at a browser that was never here.
async fn sign_in(server: &TestServer, address: &str, email: &str, password: &str) -> Answer {
    server.sign_in_from(address, "", email, password).await
}

/// So many guesses, one after the other; how many were compared.
async fn guess(server: &TestServer, address: &str, email: &str, times: usize) -> usize {
    let mut compared = 0;
    for _ in 0..times {
        compared += usize::from(is_compared(&sign_in(server, address, email, "a guess").await));
    }
    compared
}

/// Whether a guess was compared with the password, or refused unseen.
#[track_caller]
fn is_compared(answer: &Answer) -> bool {
    assert!([400, 429].contains(&answer.status.as_u16()), "{}: {}", answer.status, answer.body);
    answer.status == 400
}

fn retry_after(answer: &Answer) -> u64 {
    answer.assert_status(429).header("retry-after").parse().unwrap()
}

async fn rows(server: &TestServer) -> Vec<String> {
    server.database.strings("SELECT CAST(expires_at AS TEXT) FROM throttles ORDER BY account, network").await
}

async fn hash_of_nobody(server: &TestServer, email: &str) {
    server.database.execute(&format!("UPDATE people SET password_hash = NULL WHERE email = '{email}'")).await;
}

on_every_backend! {
    /// The page says how long, keeps the e-mail and not the password; a right password is taken when the time has come.
    async fn ten_failures_are_free_and_then_one_waits(server) {
        let alice = server.person("alice").await;
        assert_eq!(guess(server, HOME, &alice.email, 10).await, 10);
        let refused = sign_in(server, HOME, &alice.email, PASSWORD).await;
        assert_eq!(retry_after(&refused), 10 * MINUTE);
        assert!(refused.body.contains("too many failed attempts to sign in. To keep guessers out, wait 10 minutes before"), "{}", refused.body);
        assert!(refused.body.contains("id=\"problem\" role=\"alert\"") && refused.body.contains("aria-describedby=\"problem\""));
        assert!(refused.body.contains("value=\"alice@example.com\"") && !refused.body.contains(PASSWORD));
        assert_eq!(refused.header("set-cookie"), "");

        server.advance(10 * MINUTE - 35);
        let refused = sign_in(server, HOME, &alice.email, PASSWORD).await;
        assert!(retry_after(&refused) <= 35 && refused.body.contains("wait 40 seconds"), "{}", refused.body);
        server.advance(retry_after(&refused));
        sign_in(server, HOME, &alice.email, PASSWORD).await.assert_status(303);
        assert_eq!(guess(server, HOME, &alice.email, 11).await, 10, "whoever knows the password begins anew");
    }

    /// Where nothing tells networks apart, a right password forgives no failures: they may be a stranger's.
    async fn behind_a_proxy_the_owner_forgives_no_stranger(server) {
        let alice = server.person("alice").await;
        assert_eq!(guess(server, "127.0.0.1", &alice.email, 9).await, 9);
        sign_in(server, "127.0.0.1", &alice.email, PASSWORD).await.assert_status(303);
        assert_eq!(guess(server, "127.0.0.1", &alice.email, 9).await, 1);
    }

    /// One free failure comes back with each delay, and all of them with time.
    async fn failures_are_forgotten_one_by_one(server) {
        assert_eq!(guess(server, HOME, "alice@example.com", 12).await, 10);
        server.advance(10 * MINUTE);
        assert_eq!(guess(server, HOME, "alice@example.com", 3).await, 1);
        server.advance(100 * MINUTE);
        assert_eq!(guess(server, HOME, "alice@example.com", 12).await, 10);
    }

    /// A refused attempt compares nothing, changes no row and writes no event.
    async fn a_refused_attempt_does_nothing(server) {
        let alice = server.person("alice").await;
        guess(server, HOME, &alice.email, 10).await;
        let (before, audit) = (rows(server).await, server.audit().await);
        // Comparing with what is no hash would be a fault.
        server.database.execute("UPDATE people SET password_hash = 'no hash'").await;
        for _ in 0..20 {
            assert_eq!(retry_after(&sign_in(server, HOME, &alice.email, PASSWORD).await), 10 * MINUTE);
        }
        assert_eq!((rows(server).await, server.audit().await), (before, audit.clone()));
        assert_eq!(audit.iter().filter(|name| *name == "sign_in.failed").count(), 10);
        assert_eq!(audit.iter().filter(|name| *name == "sign_in.throttled").count(), 1, "told once, when the delay begins");
    }

    /// Nobody learns who has an account: the same counts, times and pages for everyone.
    async fn whoever_exists_is_delayed_like_whoever_does_not(server) {
        let (alice, bob, carol) = (server.person("alice").await, server.person("bob").await, server.person("carol").await);
        let at = timestamp(server.database.backend, server.clock.now().as_micros());
        server.database.execute(&format!("UPDATE people SET disabled_at = {at} WHERE email = '{}'", bob.email)).await;
        hash_of_nobody(server, &carol.email).await;
        let mut seen = Vec::new();
        for (email, password) in [
            (alice.email.as_str(), "a guess"),
            ("nobody@example.com", "a guess"),
            ("nobody@example.org", PASSWORD),
            (bob.email.as_str(), PASSWORD),
            (carol.email.as_str(), PASSWORD),
            (carol.email.as_str(), ""),
        ] {
            let mut answers = Vec::new();
            server.advance(100 * MINUTE);
            for _ in 0..12 {
                let answer = sign_in(server, HOME, email, password).await;
                answers.push((answer.status, answer.header("retry-after").to_owned(), answer.body.replace(email, "")));
            }
            seen.push(answers);
        }
        assert!(seen.iter().all(|answers| *answers == seen[0]));
        assert_eq!(seen[0].iter().filter(|(status, ..)| *status == 400).count(), 10);
        let width = if server.database.backend == Backend::Sqlite { "length(account)" } else { "octet_length(account)" };
        let widths = server.database.strings(&format!("SELECT DISTINCT CAST({width} AS TEXT) FROM throttles ORDER BY 1")).await;
        assert_eq!(widths, ["0", "16"], "what is kept names nobody");
    }

    /// E-mails are one account however they are written.
    async fn another_spelling_is_the_same_account(server) {
        assert_eq!(guess(server, HOME, "alice@example.com", 9).await, 9);
        assert_eq!(guess(server, HOME, " ALICE@example.COM ", 2).await, 1);
    }

    /// A stranger who never stops guessing does not keep the owner out, who may even mistype.
    async fn guesses_from_elsewhere_do_not_lock_the_owner_out(server) {
        let alice = server.person("alice").await;
        let mut compared = 0;
        for _ in 0..35 {
            compared += guess(server, ELSEWHERE, &alice.email, 11).await;
            server.advance(5 * MINUTE);
        }
        assert_eq!(compared, 10 + 17, "ten at once and six an hour");
        assert_eq!(guess(server, HOME, &alice.email, 9).await, 9);
        sign_in(server, HOME, &alice.email, PASSWORD).await.assert_status(303);
        assert_eq!(guess(server, ELSEWHERE, &alice.email, 1).await, 0, "which does not help the stranger");
    }

    /// Guesses from many networks make each one's allowance small; one that was not among them can still sign in.
    async fn an_account_under_attack_is_slow_everywhere_and_shut_nowhere(server) {
        let alice = server.person("alice").await;
        let mut compared = 0;
        for network in 0..20 {
            compared += guess(server, &format!("192.0.2.{network}"), &alice.email, 11).await;
        }
        assert_eq!(compared, 2 * 10 + 18 * 2, "after two networks each has two");
        let mistyped = guess(server, HOME, &alice.email, 1).await;
        assert_eq!(mistyped, 1);
        sign_in(server, HOME, &alice.email, PASSWORD).await.assert_status(303);
        assert_eq!(guess(server, HOME, &alice.email, 3).await, 2);
        let wait = retry_after(&sign_in(server, HOME, &alice.email, PASSWORD).await);
        assert_eq!(wait, 30 * MINUTE);
        server.advance(wait);
        sign_in(server, HOME, &alice.email, PASSWORD).await.assert_status(303);

        server.advance(100 * MINUTE);
        assert_eq!(guess(server, HOME, &alice.email, 12).await, 10, "the attack is forgotten, too");
    }

    /// Guessing one password for everyone is stopped by the address; an account of one's own does not clear it.
    async fn an_address_that_guesses_many_accounts_is_delayed(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "10") {
        let (alice, own) = (server.person("alice").await, server.person("mallory").await);
        for number in 0..5 {
            assert_eq!(guess(server, ELSEWHERE, &format!("person{number}@example.com"), 1).await, 1);
            if number < 4 {
                sign_in(server, ELSEWHERE, &own.email, PASSWORD).await.assert_status(303);
            }
        }
        let refused = sign_in(server, ELSEWHERE, &own.email, PASSWORD).await;
        assert_eq!(retry_after(&refused), 30);
        assert!(refused.body.contains("wait 30 seconds"), "{}", refused.body);
        sign_in(server, HOME, &alice.email, PASSWORD).await.assert_status(303);
        server.advance(30);
        sign_in(server, ELSEWHERE, &own.email, PASSWORD).await.assert_status(303);
    }

    /// A list of stolen passwords is slower than a person who mistypes: the first failure at each account counts twice.
    async fn guessing_many_accounts_costs_an_address_more_than_guessing_at_one(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "10") {
        let mut compared = 0;
        for number in 0..20 {
            compared += guess(server, HOME, &format!("person{number}@example.com"), 1).await;
        }
        assert_eq!(compared, 5);
        assert_eq!(guess(server, ELSEWHERE, "alice@example.com", 20).await, 9);
    }

    /// Whoever has many addresses of one site shares what is free around them, of IPv4 in a /24 and of IPv6 in a /48.
    async fn many_addresses_of_one_site_are_delayed_together(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "4") {
        let mallory = server.person("mallory").await;
        for (site, elsewhere) in [("203.0.113.", "203.0.114.1"), ("2001:db8:7:", "2001:db8:8::1")] {
            let address = |number: usize| if site.contains(':') { format!("{site}{number}::1") } else { format!("{site}{number}") };
            let mut compared = 0;
            for number in 0..20 {
                compared += guess(server, &address(number), &format!("person{number}@example.com"), 1).await;
                if number < 9 {
                    // Nor does an account of one's own clear it.
                    sign_in(server, &address(number), &mallory.email, PASSWORD).await.assert_status(303);
                }
            }
            assert_eq!(compared, 10, "five times as many as of one address");
            let refused = sign_in(server, &address(99), &mallory.email, PASSWORD).await;
            assert_eq!(retry_after(&refused), 6);
            sign_in(server, elsewhere, &mallory.email, PASSWORD).await.assert_status(303);
            server.advance(6);
            sign_in(server, &address(99), &mallory.email, PASSWORD).await.assert_status(303);
            server.advance(120);
        }
        let by = server.database.strings("SELECT CAST(details AS TEXT) FROM audit_events WHERE name = 'sign_in.throttled'").await;
        assert_eq!(by.iter().filter(|details| details.contains("neighbourhood")).count(), 2, "{by:?}");
    }

    /// What cannot be an e-mail is hashed for, too, and counted by its address.
    async fn what_is_no_email_counts_for_the_address(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "5") {
        assert_eq!(guess(server, HOME, "no e-mail", 7).await, 5);
        assert_eq!(guess(server, HOME, "alice@example.com", 1).await, 0);
    }

    /// Of IPv6 a /64 is one address; an IPv4 address is itself, also at a socket for both.
    async fn a_network_of_ipv6_is_one_address(server) {
        for host in 0..10 {
            assert_eq!(guess(server, &format!("2001:db8:0:1::{host}"), "alice@example.com", 1).await, 1);
        }
        assert_eq!(guess(server, "2001:db8:0:1:ffff::1", "alice@example.com", 1).await, 0);
        assert_eq!(guess(server, "2001:db8:0:2::1", "alice@example.com", 1).await, 1);
        assert_eq!(guess(server, HOME, "bob@example.com", 10).await, 10);
        assert_eq!(guess(server, &format!("::ffff:{HOME}"), "bob@example.com", 1).await, 0);
        assert_eq!(guess(server, &format!("::ffff:{ELSEWHERE}"), "bob@example.com", 1).await, 1);
    }

    /// Connections of this machine or a private network are a proxy's: what they spend together closes sign-in for nobody.
    async fn the_address_of_a_proxy_is_nobodys(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "5") {
        for (number, address) in ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "fe80::1"].iter().enumerate() {
            assert_eq!(guess(server, address, &format!("person{number}@example.com"), 1).await, 1);
        }
        assert_eq!(guess(server, "127.0.0.1", "alice@example.com", 12).await, 10, "accounts are throttled");
        assert_eq!(guess(server, "10.0.0.1", "alice@example.com", 1).await, 0);
    }

    /// The same of a proxy on the Internet, if one says so.
    async fn addresses_can_be_left_out(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "5", "GRANTOR_THROTTLE__BY_ADDRESS" = "never") {
        for number in 0..8 {
            assert_eq!(guess(server, HOME, &format!("person{number}@example.com"), 1).await, 1);
        }
        assert_eq!(guess(server, HOME, "alice@example.com", 12).await, 10);
        assert_eq!(guess(server, ELSEWHERE, "alice@example.com", 1).await, 0);
    }

    /// And of a server without proxy in a private network.
    async fn private_addresses_can_be_counted(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "10", "GRANTOR_THROTTLE__BY_ADDRESS" = "always") {
        for number in 0..8 {
            assert_eq!(guess(server, "10.0.0.1", &format!("person{number}@example.com"), 1).await, usize::from(number < 5));
        }
        assert_eq!(guess(server, "10.0.0.2", "alice@example.com", 1).await, 1);
    }

    /// A guess is counted before it is compared: more at once are not more.
    async fn of_64_guesses_at_once_ten_are_compared(server) {
        let alice = server.person("alice").await;
        let answers = join_all((0..64).map(|_| sign_in(server, HOME, &alice.email, "a guess"))).await;
        assert_eq!(answers.iter().filter(|answer| is_compared(answer)).count(), 10);
        assert_eq!(server.audited("sign_in.failed").await, 10);
        sign_in(server, HOME, &alice.email, PASSWORD).await.assert_status(429);
    }

    /// The same for one address and many accounts, which do not wait for each other.
    async fn of_64_accounts_guessed_at_once_an_address_has_its_number(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "14") {
        let guesses = (0..64).map(async |number| sign_in(server, HOME, &format!("person{number}@example.com"), "a guess").await);
        let answers = join_all(guesses).await;
        assert_eq!(answers.iter().filter(|answer| is_compared(answer)).count(), 7);
        let now = timestamp(server.database.backend, server.clock.now().as_micros());
        let spent = format!("throttles WHERE length(network) > 0 AND length(account) > 0 AND expires_at > {now}");
        assert_eq!(server.database.count(&spent).await, 7, "whoever was refused in the race gave back what was counted");
        server.advance(30);
        assert_eq!(guess(server, HOME, "another@example.com", 2).await, 1);
    }

    /// Whoever knows the password waits for those at the same account, and is not refused.
    async fn of_32_right_sign_ins_at_once_each_succeeds(server) {
        let alice = server.person("alice").await;
        assert_eq!(guess(server, HOME, &alice.email, 9).await, 9);
        for answer in join_all((0..32).map(|_| sign_in(server, HOME, &alice.email, PASSWORD))).await {
            answer.assert_status(303);
        }
    }

    /// Being signed in is no way around it.
    async fn re_authentication_is_throttled(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "login")]).await;
        // Ten that are this device's, and ten that are this network's.
        for _ in 0..20 {
            browser.sign_in_with(&person.email, "a guess").await.assert_status(400);
        }
        let page = browser.sign_in_with(&person.email, PASSWORD).await.assert_status(429).body.clone();
        assert!(page.contains("wait 10 minutes") && page.contains(" readonly"), "{page}");
        server.advance(10 * MINUTE);
        browser.sign_in(&person).await.assert_status(200);
        assert!(browser.page().body.contains("id=\"allow\""));
    }

    /// The remedy of an operator, for one person alone.
    async fn a_new_password_or_enabling_forgets_failures(server) {
        let (alice, bob) = (server.person("alice").await, server.person("bob").await);
        for address in [HOME, ELSEWHERE] {
            guess(server, address, &bob.email, 10).await;
        }
        for arguments in [["user", "set-password", &alice.email, "--password-stdin"].as_slice(), &["user", "enable", &alice.email]] {
            for address in [HOME, ELSEWHERE] {
                guess(server, address, &alice.email, 10).await;
                sign_in(server, address, &alice.email, PASSWORD).await.assert_status(429);
            }
            run_with_input(&server.database, arguments, PASSWORD).assert_code(0);
            for address in [HOME, ELSEWHERE] {
                sign_in(server, address, &alice.email, PASSWORD).await.assert_status(303);
                sign_in(server, address, &bob.email, PASSWORD).await.assert_status(429);
            }
        }
    }

    /// Without the means to count, nobody is let in.
    async fn what_cannot_be_counted_is_refused(server) {
        let alice = server.person("alice").await;
        server.database.execute("ALTER TABLE throttles RENAME TO elsewhere").await;
        let answer = sign_in(server, HOME, &alice.email, PASSWORD).await;
        answer.assert_page_error(500);
        assert_eq!((answer.header("set-cookie"), server.database.count("browser_sessions").await), ("", 0));
    }
}

/// What is counted at one node is counted at the other.
#[tokio::test]
async fn of_guesses_at_two_nodes_ten_are_compared() {
    let one = TestServer::start(Backend::Postgres, &[]).await;
    let other = one.another_node().await;
    let guesses = |node| join_all((0..32).map(move |_| sign_in(node, HOME, "alice@example.com", "a guess")));
    let (here, there) = join(guesses(&one), guesses(&other)).await;
    assert_eq!(here.iter().chain(&there).filter(|answer| is_compared(answer)).count(), 10);
    assert_eq!(one.audited("sign_in.failed").await, 10);
    other.close().await;
    one.end().await;
}

/// The same of what is around an address.
#[tokio::test]
async fn of_accounts_guessed_at_two_nodes_a_site_has_its_number() {
    let one = TestServer::start(Backend::Postgres, &[("GRANTOR_THROTTLE__ADDRESS_FAILURES", "4")]).await;
    let other = one.node_with(&[("GRANTOR_THROTTLE__ADDRESS_FAILURES", "4")]).await;
    let mut compared = 0;
    for number in 0..20 {
        let node = if number % 2 == 0 { &one } else { &other };
        compared += guess(node, &format!("203.0.113.{number}"), &format!("person{number}@example.com"), 1).await;
    }
    assert_eq!(compared, 10);
    other.close().await;
    one.end().await;
}
