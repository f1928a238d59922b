//! Other secrets pasted instead of a GitHub token: the message names their type, and they are not sent.

use super::*;

#[tokio::test]
async fn what_is_no_token_is_told_and_not_sent() {
    let mut table = Table::default();
    for value in [
        "AABCDEFGHIJ0123456789ABCDEFGH",
        "ghr_abcdefghij0123456789abcdefghij",
        "Bearer ghp_abcdefghij0123456789",
        "\"ghp_abcdefghij0123456789\"",
        "${{ secrets.RUNNERS }}",
        "Z2hwX2FiY2RlZmdoaWowMTIzNDU2Nzg5",
        "{\"token\": \"ghp_abcdefghij0123456789\"}",
        "ghp_abcdefghij0123456789\nghp_abcdefghij0123456789",
        "glpat-abcdefghij0123456789",
    ] {
        let github = stand_in(enterprise_server()).await;
        let client = client(Server::of(Some(&github.url())), token(value));
        let result = client.audit(ORGANIZATION, None).await;
        let error = result.as_ref().unwrap_err();
        assert_eq!(error.kind.exit_code(), 4);
        assert!(
            !all_of(error).contains(&value[value.len() / 2..]),
            "{error}"
        );
        assert_eq!(github.requests(), 0, "{error}");
        let words = error.message.clone();
        table.row(&words, &told(&result));
    }
    table.compare("misplaced");
}
