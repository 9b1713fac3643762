/*
 * test_cli_tokenizer.c - rein tokenizer as a user runs it: learn from text, encode, decode, and what it says when it cannot.
 */
#include "support/command.h"
#include "support/check.h"

#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)

static void expect(command c, int code, const char *words) {
    const char *output = code == 0 ? c.out : c.err;
    if (c.code != code || !strstr(output, words))
        fail_msg("exit code %d, output \"%s%s\", expected %d and \"%s\"", c.code, c.out, c.err, code, words);
    command_release(&c);
}

static void learns_encodes_and_decodes(void **state) {
    static const char text[] = "low lower lowest low low\nnew newer newest new\n";
    temp_write(temp_path("text.txt"), text, sizeof text - 1);
    expect(command_run("tokenizer", "train", "--data", "text.txt", "--vocab_size", "270", "--family",
                       "smollm2", "--out", "tok", NULL),
           0, "tok: 270 tokens, 11 merges");
    command c = command_run("tokenizer", "encode", "--model", "tok", "low", "lower<|im_end|>", NULL);
    assert_int_equal(c.code, 0);
    assert_non_null(strrchr(c.out, ' '));
    assert_string_equal(strrchr(c.out, ' '), " 2\n");
    c.out[strlen(c.out) - 1] = 0;
    expect(command_run("tokenizer", "decode", "--model", "tok", c.out, NULL), 0, "low lower<|im_end|>\n");
    expect(command_run("tokenizer", "decode", "--model", "tok", "--skip_special", c.out, NULL), 0,
           "low lower\n");
    command_release(&c);
    expect(command_run("tokenizer", "encode", "--model", "tok", "--json", "--file", "text.txt", NULL), 0,
           "\"tokens\": [\"low\"");
}

static void says_what_is_missing(void **state) {
    expect(command_run("tokenizer", NULL), 2, "train|encode|decode");
    expect(command_run("tokenizer", "encodes", NULL), 2, "encode");
    expect(command_run("tokenizer", "train", "--out", "x", NULL), 2, "--data FILE");
    expect(command_run("tokenizer", "encode", "text", NULL), 2, "--model DIR");
    expect(command_run("tokenizer", "encode", "--model", "tok", NULL), 2, "nothing to read");
    expect(command_run("tokenizer", "decode", "--model", "tok", "999", NULL), 2,
           "999 is no token, the tokenizer has 270");
    expect(command_run("tokenizer", "encode", "--model", "absent", "text", NULL), 1, "absent");
    expect(command_run("tokenizer", "train", "--data", "text.txt", "--out", "y", "--family", "gpt3", NULL), 2,
           "did you mean gpt2?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_encodes_and_decodes),
        cmocka_unit_test(says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
#else
int main(void) {
    return 77;
}
#endif
