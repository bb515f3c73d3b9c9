//! Known devices (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"): no stranger keeps people out where they signed in
//! before, and the cookie opens nothing.

use axum::body::Body;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use http::Request;

use crate::{
    harness::{
        Answer, TestServer,
        app::timestamp,
        browser::{PASSWORD, Person},
        process::{run, run_with_input},
    },
    on_databases, on_every_backend,
};

const HOME: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.9";
const DAY: u64 = 24 * 60 * 60;
const NAME: &str = "__Host-grantor-device-";

/// The cookie of a device, as a browser sends it.
#[track_caller]
fn device(answer: &Answer) -> String {
    let cookies: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    let set = cookies.iter().find(|cookie| cookie.starts_with(NAME)).unwrap_or_else(|| panic!("{cookies:?}"));
    set.split(';').next().unwrap().to_owned()
}

/// Signs in at a new browser; what that keeps.
async fn known_device(server: &TestServer, person: &Person) -> String {
    let answer = server.sign_in_from(ELSEWHERE, "", &person.email, PASSWORD).await;
    device(answer.assert_status(303))
}

/// So many guesses; how many were compared.
async fn guess(server: &TestServer, address: &str, cookie: &str, email: &str, times: usize) -> usize {
    let mut compared = 0;
    for _ in 0..times {
        let answer = server.sign_in_from(address, cookie, email, "a guess").await;
        assert!([400, 429].contains(&answer.status.as_u16()), "{}", answer.body);
        assert_eq!(answer.header("set-cookie"), "");
        compared += usize::from(answer.status == 400);
    }
    compared
}

/// A stranger at one's own network spends what there is, so that nobody gets in there whose device is not known.
async fn close(server: &TestServer, address: &str, person: &Person) {
    guess(server, address, "", &person.email, 11).await;
    server.sign_in_from(address, "", &person.email, PASSWORD).await.assert_status(429);
}

on_every_backend! {
    /// RFC 6265bis §4.1.2: it stays at this host, out of reach of scripts and of requests from elsewhere, and says nothing of whom.
    async fn the_cookie_is_bound_to_this_host_and_names_nobody(server) {
        let alice = server.person("alice").await;
        let answer = server.sign_in_from(HOME, "", &alice.email, PASSWORD).await;
        let cookies: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
        assert_eq!(cookies.len(), 2, "beside the one of the session: {cookies:?}");
        let cookie = cookies.into_iter().find(|cookie| cookie.starts_with(NAME)).unwrap();
        let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=34560000"] {
            assert!(attributes.contains(&attribute), "{attribute}: {cookie}");
        }
        assert_eq!(attributes.len(), 5, "no Domain: {cookie}");
        let value = BASE64_URL_SAFE_NO_PAD.decode(device(&answer).split_once('=').unwrap().1).unwrap();
        assert_eq!(value.len(), 40);
        assert!(!String::from_utf8_lossy(&value).contains("alice"));
    }

    /// Guesses of others do not keep the owner out where they are known: at the same network, behind a proxy, and under attack.
    async fn no_stranger_keeps_the_owner_out_of_a_known_device(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "20") {
        let alice = server.person("alice").await;
        let known = known_device(server, &alice).await;
        for network in 0..20 {
            guess(server, &format!("192.0.2.{network}"), "", &alice.email, 3).await;
        }
        for address in [HOME, "127.0.0.1"] {
            close(server, address, &alice).await;
            assert_eq!(guess(server, address, &known, &alice.email, 9).await, 9, "who may even mistype");
            server.sign_in_from(address, &known, &alice.email, PASSWORD).await.assert_status(303);
            server.sign_in_from(address, "", &alice.email, PASSWORD).await.assert_status(429);
        }
        for number in 0..30 {
            guess(server, HOME, "", &format!("person{number}@example.com"), 1).await;
        }
        server.sign_in_from(HOME, &known, &alice.email, PASSWORD).await.assert_status(303);
    }

    /// Whoever stole it gets its few guesses, and then what everyone gets; they share them with the owner, who is not kept out.
    async fn a_stolen_cookie_has_its_own_small_budget(server) {
        let alice = server.person("alice").await;
        let stolen = known_device(server, &alice).await;
        close(server, ELSEWHERE, &alice).await;
        assert_eq!(guess(server, ELSEWHERE, &stolen, &alice.email, 30).await, 10);
        let refused = server.sign_in_from(ELSEWHERE, &stolen, &alice.email, PASSWORD).await;
        assert_eq!(refused.assert_status(429).header("retry-after"), "600");
        server.sign_in_from(HOME, &stolen, &alice.email, PASSWORD).await.assert_status(303);
        server.advance(600);
        assert_eq!(guess(server, "192.0.2.1", &stolen, &alice.email, 30).await, 1 + 10, "one is free again, and at another network ten");
        assert_eq!(server.audited("sign_in.throttled").await, 2, "a device that is used up delays nobody by itself");
    }

    /// More guesses at once are not more.
    async fn of_64_guesses_at_once_from_a_known_device_ten_are_compared(server) {
        let alice = server.person("alice").await;
        let known = known_device(server, &alice).await;
        close(server, HOME, &alice).await;
        let guesses = (0..64).map(|_| server.sign_in_from(HOME, &known, &alice.email, "a guess"));
        let answers = futures_util::future::join_all(guesses).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 400).count(), 10);
    }

    /// An attacker's own cookie is none for another account, whether or not that exists.
    async fn a_cookie_is_of_one_account(server) {
        let (alice, mallory) = (server.person("alice").await, server.person("mallory").await);
        let own = known_device(server, &mallory).await;
        for email in [&alice.email, "nobody@example.com"] {
            assert_eq!(guess(server, HOME, &own, email, 12).await, 10, "{email}");
        }
        server.sign_in_from(HOME, &own, &alice.email, PASSWORD).await.assert_status(429);
    }

    /// Whatever is not ours is ignored, quietly: the answer is that of a browser without a cookie.
    async fn a_changed_cookie_is_none(server, "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "1000") {
        let alice = server.person("alice").await;
        let known = known_device(server, &alice).await;
        close(server, HOME, &alice).await;
        let without = server.sign_in_from(HOME, "", &alice.email, PASSWORD).await;
        let (name, value) = known.split_once('=').unwrap();
        let mut others: Vec<String> = ["", ".", "x", "\"", "....", &value[1..], &value.repeat(2)].map(|value| format!("{name}={value}")).into();
        for byte in 0..40 {
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(value).unwrap();
            bytes[byte] ^= 1;
            others.push(format!("{name}={}", BASE64_URL_SAFE_NO_PAD.encode(bytes)));
        }
        for other in others {
            let answer = server.sign_in_from(HOME, &other, &alice.email, PASSWORD).await;
            assert_eq!((answer.status, &answer.body, answer.header("set-cookie")), (without.status, &without.body, ""), "{other}");
        }
        server.sign_in_from(HOME, &known, &alice.email, PASSWORD).await.assert_status(303);
    }

    /// It signs nobody in.
    async fn the_cookie_opens_nothing(server) {
        let alice = server.person("alice").await;
        let known = known_device(server, &alice).await;
        for path in ["/account", "/sign-out", "/consent"] {
            let request = |cookie: &str| Request::get(path).header("cookie", cookie).body(Body::empty()).unwrap();
            let (with, without) = (server.send(request(&known)).await, server.send(request("")).await);
            assert_eq!((with.status, with.header("location")), (without.status, without.header("location")), "{path}");
        }
        server.sign_in_from(HOME, &known, &alice.email, "").await.assert_status(400);
    }

    /// It ends after 400 days without a sign-in, each of which begins it anew.
    async fn a_device_is_known_for_400_days(server) {
        let alice = server.person("alice").await;
        let known = known_device(server, &alice).await;
        server.advance(399 * DAY);
        close(server, HOME, &alice).await;
        let answer = server.sign_in_from(HOME, &known, &alice.email, PASSWORD).await;
        let renewed = device(answer.assert_status(303));
        server.advance(2 * DAY);
        close(server, HOME, &alice).await;
        server.sign_in_from(HOME, &known, &alice.email, PASSWORD).await.assert_status(429);
        server.sign_in_from(HOME, &renewed, &alice.email, PASSWORD).await.assert_status(303);
    }

    /// A family's browser: each of the last four accounts knows it.
    async fn a_browser_is_known_to_several_accounts(server) {
        let mut people = Vec::new();
        let mut cookie = String::new();
        for number in 0..5 {
            let person = server.person(&format!("person{number}")).await;
            let answer = server.sign_in_from(ELSEWHERE, &cookie, &person.email, PASSWORD).await;
            cookie = device(answer.assert_status(303));
            people.push(person);
        }
        for (number, person) in people.iter().enumerate() {
            close(server, HOME, person).await;
            let expected = if number == 0 { 429 } else { 303 };
            server.sign_in_from(HOME, &cookie, &person.email, PASSWORD).await.assert_status(expected);
        }
    }

    /// Who made their account at a browser is known there.
    async fn a_sign_up_makes_the_device_known(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let mut browser = server.browser();
        browser.go("/signup").await;
        browser.sign_up("alice@example.com", PASSWORD).await.assert_status(200);
        let (known, alice) = (browser.device.clone().unwrap(), Person { email: "alice@example.com".to_owned() });
        close(server, HOME, &alice).await;
        server.sign_in_from(HOME, &known, &alice.email, PASSWORD).await.assert_status(303);
    }

    /// Of an account that was deleted and made again by someone else, nothing is known.
    async fn an_account_of_the_same_name_does_not_know_the_devices_of_the_former(server) {
        let alice = server.person("alice").await;
        let known = known_device(server, &alice).await;
        server.advance(1);
        let at = timestamp(server.database.backend, server.clock.now().as_micros());
        server.database.execute(&format!("UPDATE people SET created_at = {at}")).await;
        close(server, HOME, &alice).await;
        server.sign_in_from(HOME, &known, &alice.email, PASSWORD).await.assert_status(429);
    }
}

on_databases! { [Sqlite, Postgres]
    /// Whoever gives an account back to its owner ends what others may have copied; so does disabling it.
    async fn a_new_password_and_disabling_forget_devices(copy) {
        // The server goes by the clock that commands have, too.
        let server = &TestServer::start_at_the_time_of_the_machine(copy.backend).await;
        let (alice, bob) = (server.person("alice").await, server.person("bob").await);
        server.database.execute(&format!("UPDATE people SET created_at = {}", server.now())).await;
        let (of_alice, of_bob) = (known_device(server, &alice).await, known_device(server, &bob).await);
        run_with_input(&server.database, &["user", "set-password", &alice.email, "--password-stdin"], PASSWORD).assert_code(0);
        run(&server.database, &["user", "disable", &bob.email]).assert_code(0);
        assert_eq!(guess(server, HOME, &of_bob, &bob.email, 30).await, 10, "like nobody's account");
        run(&server.database, &["user", "enable", &bob.email]).assert_code(0);
        server.advance(60);
        for (person, known) in [(&alice, &of_alice), (&bob, &of_bob)] {
            close(server, HOME, person).await;
            server.sign_in_from(HOME, known, &person.email, PASSWORD).await.assert_status(429);
            // A sign-in elsewhere makes the device known again.
            let answer = server.sign_in_from("192.0.2.1", known, &person.email, PASSWORD).await;
            server.sign_in_from(HOME, &device(answer.assert_status(303)), &person.email, PASSWORD).await.assert_status(303);
        }
        server.database.remove().await;
    }
}
