//! What a peer writes is text, whatever it looks like.

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::node::mesh;
use crate::support::page::Page;

/// Longest text of a message.
const MAX_TEXT: usize = 16 * 1024;

/// Each would do something in a page that takes text for markup, or for a pattern, or for a key.
const TRICKS: &[&str] = &[
    "<script>window.__pwned = 1</script>",
    "<img src=x onerror='window.__pwned = 2'>",
    "<svg onload='window.__pwned = 3'><a href='javascript:window.__pwned=4'><text>x</text></a></svg>",
    "<iframe srcdoc='<script>parent.__pwned = 5</script>'></iframe>",
    "<style>body { display: none !important }</style>",
    "<form action='http://evil.example'><input name=q autofocus onfocus='window.__pwned = 6'></form>",
    "</textarea></article></main><h1>not ours</h1>",
    "&lt;b&gt; &amp;lt; &#60;script&#62; <b>bold</b> <!-- gone? -->",
    "${window.__pwned = 7} {{constructor.constructor('window.__pwned = 8')()}} `x` $& $1",
    "__proto__ constructor toString hasOwnProperty",
    "links: https://example.com/a?b=1&c=2#d http://example.com/x, (https://example.com/y) \
     javascript:alert(1) data:text/html,<script>alert(1)</script> file:///etc/passwd vbscript:x HTTPS://EXAMPLE.COM/Z",
    "https://example.com/\"onmouseover=\"window.__pwned=9",
    "http://user:password@example.com/ https://example.com@evil.example/ https://ex\u{430}mple.com/",
];

/// Letters that turn, hide or join others, and what stands there instead.
const SHAPELESS: &[(&str, &str)] = &[
    ("\u{202E}dlrow olleh\u{202C} and \u{2067}abc", "U+202Edlrow ollehU+202C and U+2067abc"),
    ("zero\u{200B}width\u{200D}\u{FEFF}joined", "zeroU+200BwidthU+200D +1joined"),
    ("\u{2800}\u{2800}\u{3164}|\u{115F}\u{1160}|\u{2800}\n|", "U+2800 +2|U+115F +1|U+2800\n|"),
    ("twice\u{2764}\u{FE0F}\u{FE0F}", "twice\u{2764}\u{FE0F}U+FE0F"),
    (
        "https://exa\u{202E}mple.com https://example.com\u{200B}.evil.example/",
        "https://exaU+202Emple.com https://example.comU+200B.evil.example/",
    ),
];

/// Elements in messages that are not links, attributes that run something, and links with anything but an address.
const STRAY: &str = "
    const allowed = new Set(['A', 'BDI', 'SPAN', 'BR', 'MARK']);
    const found = [];
    for (const it of document.querySelectorAll('#messages .text *, #messages .name *, #members .name *')) {
        if (!allowed.has(it.tagName)) found.push(it.outerHTML);
        if ([...it.attributes].some(attribute => attribute.name.startsWith('on'))) found.push(it.outerHTML);
    }
    for (const it of document.querySelectorAll('a[href]')) {
        if (it.getAttribute('href').startsWith('#')) continue;
        const own = it.origin === location.origin;
        if (!['http:', 'https:'].includes(it.protocol)) found.push('scheme: ' + it.outerHTML);
        if (!own && !it.relList.contains('noopener')) found.push('no noopener: ' + it.outerHTML);
        if (it.username || it.password) found.push('user: ' + it.outerHTML);
    }
    for (const css of ['script:not([src])', 'iframe', 'object', 'embed', 'main img', 'main style', 'form[action*=evil]', 'base']) {
        for (const it of document.querySelectorAll(css)) found.push(it.outerHTML);
    }
    if (window.__pwned !== undefined) found.push('it ran: ' + window.__pwned);
    if (getComputedStyle(document.body).display === 'none') found.push('its style is in force');
    return found;";

#[test]
fn markup_scripts_and_tricks_of_a_peer_are_shown_as_text() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    for text in TRICKS {
        nodes[1].say(text);
    }
    for text in TRICKS {
        page.wait_for_text(text);
    }
    page.picture("hostile");
    assert_eq!(page.run(STRAY, &[]), json!([]));
    assert_eq!(page.count("h1"), 1);
    // They come out of the history the same.
    page.reload();
    page.wait_for_text(TRICKS[TRICKS.len() - 1]);
    assert_eq!(page.texts(), TRICKS);
    assert_eq!(page.run(STRAY, &[]), json!([]));
}

#[test]
fn letters_that_turn_or_hide_others_are_shown_by_their_number() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    for (text, shown) in SHAPELESS {
        nodes[1].say(text);
        page.wait_for_text(shown);
    }
    assert_eq!(page.value("document.querySelector('#messages a')"), json!(null), "none of them is a link");
    // A family, and a word of a joined script, need their joiners; accents stand on their letter.
    // A heart on fire needs its selector and its joiner, a keycap and a Japanese name their selector.
    for text in [
        "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
        "می\u{200C}خواهم",
        "e\u{301}\u{302}\u{303}",
        "\u{2764}\u{FE0F}\u{200D}\u{1F525} \u{2764}\u{FE0F} 1\u{FE0F}\u{20E3} \u{845B}\u{E0100}",
    ] {
        nodes[1].say(text);
        page.wait_for_text(text);
    }
    nodes[1].say(&"\u{FE0F}".repeat(4_000));
    page.wait_for_text("U+FE0F +3999");
    page.picture("shapeless");
}

#[test]
fn a_search_for_markup_marks_text_and_runs_nothing() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    let text = "<img src=x onerror='window.__pwned = 1'> & more";
    nodes[1].say(text);
    page.wait_for_text(text);
    for words in ["<img", "&", "onerror='", "</mark><script>"] {
        page.paste("#search", words);
        assert_eq!(page.run(STRAY, &[]), json!([]), "{words}");
    }
}

#[test]
fn names_of_peers_are_shown_as_text() {
    let Some(browser) = Browser::start() else { return };
    let names = ["<img src=x onerror=__pwned=1>", "\"><svg onload=__pwned=2>"];
    let nodes = mesh(&names);
    let pages = [&nodes[0], &nodes[1]].map(|node| Page::open(&browser, node));
    for (at, page) in pages.iter().enumerate() {
        let other = 1 - at;
        nodes[other].say(&format!("it is {other}"));
        let row = page.wait_for_text(&format!("it is {other}"));
        let name = row["name"].as_str().unwrap_or_default();
        assert!(name.starts_with(&format!("{}~", names[other])), "{name}");
        let member = page.run(
            "return document.querySelector(`#members li[data-peer='${arguments[0]}']`)?.textContent",
            &[nodes[other].id().into()],
        );
        assert!(member.as_str().is_some_and(|text| text.contains(names[other])), "{member}");
        assert_eq!(page.run(STRAY, &[]), json!([]));
        page.turn_to("mesh");
        page.wait_for_count("#circle g.member", 2);
        page.wait_for_count("#peers tr[data-peer]", 1);
        assert_eq!(page.run(STRAY, &[]), json!([]));
        assert_eq!(page.count("#circle img, #circle svg, #peers img, #peers svg svg"), 0);
    }
    pages[0].picture("hostile-names");
}

#[test]
fn a_text_of_16_kib_is_shown_and_one_beyond_is_refused_and_kept() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let [bobby, donald] = [&nodes[0], &nodes[1]].map(|node| Page::open(&browser, node));
    // Bytes count, not letters: half of these have two. No blank anywhere, so the line must be broken.
    let longest = "aä".repeat(MAX_TEXT / 3) + "z";
    assert_eq!(longest.len(), MAX_TEXT);
    bobby.paste("#draft", &longest);
    bobby.click("#send");
    donald.wait_for_text(&longest);
    bobby.wait_for_row(&longest, |row| row["state"] == "delivered");
    for page in [&bobby, &donald] {
        let wide = page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wide, 0, "a long word does not widen the page");
    }

    let beyond = format!("{longest}!");
    bobby.paste("#draft", &beyond);
    let reason = "return document.body.innerText.match(/[^\\n]*16(,384|384| 384|.?KiB)[^\\n]*/)?.[0] ?? ''";
    if bobby.value("document.querySelector('#send').disabled") == false {
        // The node may be asked, and then its refusal is an error in the console of the browser.
        browser.expect_complaints("status of 413");
        bobby.click("#send");
    }
    crate::support::wait::until("the reason is told", || {
        let told = bobby.run(reason, &[]);
        if told == "" { Err("no word of 16 KiB".to_owned()) } else { Ok(()) }
    });
    bobby.picture("too-long");
    assert_eq!(bobby.draft(), beyond, "nothing is lost");
    assert_eq!(nodes[0].texts(), [longest.as_str()]);
    assert_eq!(nodes[0].post(&beyond).status, 413);
    bobby.paste("#draft", "short");
    bobby.click("#send");
    donald.wait_for_text("short");
}
