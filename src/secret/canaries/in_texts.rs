//! Test data: formats of secrets within texts: configuration files, commands, log messages.

use serde_json::{Value, json};

use super::PLAIN;

/// Files and lines of files as the value of a key with a neutral name.
#[expect(clippy::too_many_lines, reason = "a list, to be read as one")]
pub(super) fn texts() -> Vec<(&'static str, String)> {
    let shapes = [
        ("INI", "[db]\nuser = me\npassword = @\n"),
        ("INI in CRLF", "[db]\r\nuser = me\r\npassword = @\r\n"),
        (
            "AWS's credentials",
            "[default]\naws_access_key_id = x\naws_secret_access_key = @\naws_session_token = @\n",
        ),
        ("an INI of one line", "password = @"),
        ("TOML", "[registry]\ntoken = \"@ and more\"\n"),
        ("TOML over lines", "password = \"\"\"\n@\n\"\"\"\n"),
        ("a section of secrets", "[secrets]\nanything = \"@\"\n"),
        ("one line of YAML", "password: @"),
        ("one line of YAML in quotes", "apiKey: '@ and more'"),
        ("one line of YAML with spaces", "password: @ and more"),
        ("a block of YAML", "db:\n  password: |-\n    @\n  host: x\n"),
        (
            "a folded block",
            "db:\n  password: >\n\n    first\n\n    @\n",
        ),
        ("a value on the next line", "password:\n  @\n"),
        ("a value that goes on", "password: first\n  @\nhost: x\n"),
        ("a list of YAML", "tokens:\n- @\n- @\n"),
        ("a flow of YAML", "a: b\ntokens: [@, @]\n"),
        ("a map in a line", "db: {user: me, password: @, host: x}"),
        (
            "an environment in YAML",
            "env:\n  - name: DB_PASSWORD\n    value: @\n",
        ),
        (
            "an environment the other way round",
            "env:\n  - value: @\n    name: DB_PASSWORD\n",
        ),
        (
            "an environment in lines of its own",
            "env: [{name: DB_PASSWORD, value: @}]",
        ),
        (
            "below credentials",
            "credentials:\n  user: me\n  inner:\n    anything: @\n",
        ),
        ("behind a comment", "a: b\n# password: @\n"),
        ("a template", "{{- if .x }}\n  password: @\n{{- end }}\n"),
        (
            "XML",
            "<server>\n  <username>me</username>\n  <password>@</password>\n</server>",
        ),
        (
            "XML with an attribute",
            "<add key=\"DbPassword\" value=\"@\"/>",
        ),
        (
            "XML in a namespace",
            "<s:Password Type=\"x\"><![CDATA[@]]></s:Password>",
        ),
        ("a property list", "<key>Password</key>\n<string>@</string>"),
        ("netrc", "machine h login u password @"),
        ("netrc over lines", "machine h\n  login u\n  password @\n"),
        ("npmrc", "//r.example/:_authToken=@\n"),
        ("npmrc with spaces", "a=b\n_auth = @\n"),
        ("pgpass", "db.example:5432:*:me:@"),
        ("a Dockerfile", "FROM x\nENV NPM_TOKEN @\n"),
        ("redis.conf", "port 1\nrequirepass @\n"),
        (
            "nginx",
            "location / {\n  proxy_set_header X-Api-Key \"@\";\n}\n",
        ),
        ("HCL", "provider \"x\" {\n  token = \"@\"\n}\n"),
        ("HCL over lines", "token = <<EOT\n@\nEOT\n"),
        ("PHP", "<?php\n$config['db_password'] = '@';\n"),
        ("Ruby", "{ :password => '@' }"),
        ("a script", "set -e\nexport DB_PASS='@ and more'\nrun\n"),
        (
            "a script over lines",
            "run \\\n  --password \\\n  @ \\\n  x\n",
        ),
        ("a default of a shell", "TOKEN=${TOKEN:-@}"),
        ("a dollar that is none", "DB_PASSWORD=$@"),
        ("curl", "curl -fsSu me:@ https://x.example"),
        ("curl in quotes", "curl --user \"me:@\" https://x.example"),
        (
            "curl in a list",
            "RUN [\"curl\", \"-u\", \"me:@\", \"https://x\"]",
        ),
        ("mysql", "mysql -h db -p@ mydb"),
        ("docker login", "docker login -u me -p @ r.example"),
        ("sshpass", "sshpass -p @ ssh x"),
        (
            "kubectl",
            "kubectl create secret generic x --from-literal=anything=@",
        ),
        ("a flag in another", "kubectl x --from-literal=password=@"),
        ("a header of curl", "curl -H 'X-Api-Key: @' https://x"),
        (
            "an Authorization",
            "curl -H \"Authorization: Bearer @\" https://x",
        ),
        ("a signature", "https://x.blob.example/c?sv=1&sig=@&se=2"),
        ("an HTML link", "https://x.example/?a=1&amp;sig=@"),
        ("a code", "https://x.example/cb?state=1&code=@"),
        ("an API key", "https://x.example/v1?key=@"),
        ("a session", "https://x.example/v1?sessionid=@"),
        ("a driver's login", "me:@@tcp(127.0.0.1:3306)/db"),
        (
            "a Secret in YAML",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n  anything: |\n    @\n  name: @\n",
        ),
        (
            "a Secret with its kind at the end",
            "data:\n  anything: @\nkind: Secret\n",
        ),
        ("a call", "define('DB_PASSWORD', '@');"),
        (
            "a cookie in a header",
            "curl -H 'Cookie: session=@' https://x",
        ),
        (
            "a URL in a URL",
            "https://x.example/?to=https%3A%2F%2Fy%3Ftoken%3D@",
        ),
        ("lines of a login", "login me\npassword @\n"),
        (
            "a passphrase that begins as a sentence",
            "host: x\nwebhookSecret: the quick @ fox\n",
        ),
        (
            "a key that begins as a sentence",
            "api_key: new horse 42 @\nhost: x\n",
        ),
        (
            "a secret that begins as a sentence",
            "host: x\nsecret: good morning @\n",
        ),
        ("a login without a scheme", "registry is me:@@r.example/x"),
    ];
    let twice = |text: &str| {
        text.replace("@@", "\u{0}AT")
            .replace('@', PLAIN)
            .replace("\u{0}AT", &format!("{PLAIN}@"))
    };
    shapes
        .into_iter()
        .map(|(name, text)| (name, twice(text)))
        .collect()
}

/// Commands as argument lists.
pub(super) fn arguments() -> Vec<(&'static str, Value)> {
    vec![
        (
            "a login among arguments",
            json!({"command": ["curl", "-u", format!("me:{PLAIN}"), "https://x"]}),
        ),
        (
            "a password behind its flag",
            json!({"command": ["mysql"], "args": ["-h", "db", format!("-p{PLAIN}")]}),
        ),
        (
            "a flag at the end of the command",
            json!({"command": ["run", "--password"], "args": [PLAIN]}),
        ),
        (
            "a program by its path",
            json!({"args": ["/usr/bin/redis-cli", "-a", PLAIN]}),
        ),
        ("a hook by its name", json!({"SLACK_WEBHOOK": PLAIN})),
        (
            "an HMAC by its name",
            json!({"env": [{"name": "WEBHOOK_HMAC", "value": PLAIN}]}),
        ),
        ("a key of a service", json!({"stripe_key": PLAIN})),
    ]
}

/// The formats in external messages.
pub(super) fn told_in_messages() -> Vec<String> {
    let shapes = [
        "password: @ is wrong",
        "the password = @ was refused",
        "token: @",
        "clientSecret: \"@\", try again",
        "cannot parse [{\"name\":\"DB_PASSWORD\",\"value\":\"@\"}]",
        "got &EnvVar{Name:DB_PASSWORD,Value:@,ValueFrom:nil,}",
        "invalid element <password>@</password>",
        "bad line machine h login u password @",
        "exec curl -u me:@ https://x failed",
        "exec [mysql -p@ db]: exit status 1",
        "run docker login -p @ failed",
        "--password '@ and more' is refused",
        "[\"run\", \"--password\", \"@\"]",
        "command \"run\" \"--client-secret\" \"@\" failed",
        "sent map[Accept:[*/*] Authorization:[Bearer @]]",
        "sent {\"headers\": {\"Authorization\": [\"RemoteAuth @\"]}}",
        "GET https://x.example/c?sv=1&sig=@: 403",
        "Authorization: Basic @ was sent",
        "denied: {&quot;data&quot;:{&quot;db_password&quot;:&quot;@&quot;}}",
        "invalid &lt;password&gt;@&lt;/password&gt;",
        "invalid \\u003cpassword\\u003e@\\u003c/password\\u003e",
        "GET https://x.example/c?sv=1\\u0026sig=@\\u0026se=2",
        "dial me:@AT_tcp(db:3306)/x: refused",
    ];
    shapes
        .into_iter()
        .map(|it| {
            it.replace("@AT_", "@\u{0}")
                .replace('@', PLAIN)
                .replace('\u{0}', "@")
        })
        .collect()
}
