//! Tests of files with one key per line: which values are masked.

use std::borrow::Cow;

use super::{
    lines::{BESIDE, BLOCK, KEYED, PGPASS, SECTION, UNTIL, masked_lines},
    text::{MASK, Manner},
};

fn masked(text: &str) -> String {
    masked_lines(Cow::Borrowed(text), text.contains('\n'), Manner::Strict).into_owned()
}

#[test]
fn the_expressions_are_well_formed() {
    for it in [&KEYED, &BESIDE, &BLOCK, &UNTIL, &SECTION, &PGPASS] {
        assert!(it.is_some());
    }
}

#[test]
fn a_value_goes_with_all_its_lines() {
    for (text, expected) in [
        (
            "db:\n  password: >-\n    x\n\n    y\n  host: h\n",
            "db:\n  password: ***\n  host: h\n",
        ),
        ("password: !!str |2 # two\n  x\n", "password: ***\n"),
        (
            "- token: |\n    x\n- name: n\n",
            "- token: ***\n- name: n\n",
        ),
        ("password:\n  x\nhost: h", "password:\n  ***\nhost: h"),
        ("password: x\n  y\nhost: h", "password: ***\n  ***\nhost: h"),
        (
            "tokens:\n- x\n- y\nhosts:\n- h",
            "tokens:\n- ***\n- ***\nhosts:\n- h",
        ),
        ("tokens: [\n  x,\n]\na: b", "tokens: [\n  ***\n]\na: b"),
        ("tokens: [x, y]\na: b", "tokens: ***\na: b"),
        (
            "password = \"\"\"\nx\n\"\"\"\na = 1",
            "password = ***\na = 1",
        ),
        ("password = \"x\n y\"\na = 1", "password = ***\na = 1"),
        ("token = <<-EOT\n  x\nEOT\na = 1", "token = ***\na = 1"),
        ("password=x\\\n  y\na=1", "password=***\na=1"),
    ] {
        assert_eq!(masked(text), expected);
    }
}

#[test]
fn a_key_is_known_in_every_file() {
    for (text, expected) in [
        (
            "[db]\npassword = x y\nport = 1\n",
            "[db]\npassword = ***\nport = 1\n",
        ),
        (
            "[default]\naws_session_token = short-one\n",
            "[default]\naws_session_token = ***\n",
        ),
        (
            "[secrets]\nanything = \"x\"\n[log]\nlevel = \"info\"\n",
            "[secrets]\nanything = ***\n[log]\nlevel = \"info\"\n",
        ),
        (
            "//r.example/:_authToken=x\na=b",
            "//r.example/:_authToken=***\na=b",
        ),
        ("export TOKEN = x\ncd y", "export TOKEN = ***\ncd y"),
        (
            "$config['db_password'] = 'x';\nb",
            "$config['db_password'] = ***\nb",
        ),
        (":password => 'x'\nb", ":password => ***\nb"),
        ("FROM a\nENV NPM_TOKEN x\n", "FROM a\nENV NPM_TOKEN ***\n"),
        ("port 1\nrequirepass x\n", "port 1\nrequirepass ***\n"),
        ("h:5432:db:me:x\n", "h:5432:db:me:***\n"),
        ("# password: correct-horse\na: b", "# password: ***\na: b"),
        ("Client Secret: correct-horse\nb", "Client Secret: ***\nb"),
        (
            "webhookSecret: the quick brown fox\nb: c",
            "webhookSecret: ***\nb: c",
        ),
        (
            "b: c\napi_key: new horse 42 battery\n",
            "b: c\napi_key: ***\n",
        ),
        (
            "b: c\nsecret: good morning vietnam\n",
            "b: c\nsecret: ***\n",
        ),
        (
            "  - name: DB_PASSWORD\n    value: x\n  - name: A\n    value: b",
            "  - name: DB_PASSWORD\n    value: ***\n  - name: A\n    value: b",
        ),
        (
            "- value: x\n  name: DB_PASSWORD\n- value: b\n  name: A",
            "- value: ***\n  name: DB_PASSWORD\n- value: b\n  name: A",
        ),
        (
            "credentials:\n  user: me\n  anything: x\n",
            "credentials:\n  user: me\n  anything: ***\n",
        ),
    ] {
        assert_eq!(masked(text), expected);
    }
}

#[test]
fn one_line_may_be_a_sentence() {
    for text in [
        "password: correct-horse",
        "password: correct horse",
        "token: horse",
        "password = x",
        "clientSecret: \"a b\"",
    ] {
        assert!(masked(text).ends_with(MASK), "{text}");
    }
    for text in [
        "secret: Secret/actions-runner-system/controller-manager is not there",
        "secret: controller-manager",
        "token: expired",
        "the GitHub token: GitHub returned HTTP 403",
        "password: must have a digit",
        "password: ${DB_PASSWORD}",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn what_only_describes_a_secret_is_shown() {
    for text in [
        "passwordSecretRef: db\ntokenOwner: arc-admin\nsecretName: x\n",
        "auth:\n  secretName: x\n  key: y\n",
        "- name: TOKEN\n  valueFrom:\n    secretKeyRef:\n      name: s\n      key: k\n",
        "- name: TOKEN_FILE\n  value: /run/token\n- name: A\n  value: b\n",
        "[credential]\n  helper = store\n[core]\n  editor = vi\n",
        "token = ${var.token}\nport = 1\n",
        "password: {{ .Values.password }}\nhost: h\n",
        "automountServiceAccountToken: false\nb: c\n",
        "# token: the one of the controller\na: b\n",
        "token_expiration = 3600\nexisting_secret = x\n",
        "image: registry:5000/a@sha256:0\nports: [80]\n",
        "secretTemplate:\n  labels:\n    a: b\n",
        "imagePullSecrets:\n- name: x\n",
    ] {
        assert_eq!(masked(text), text);
    }
}
