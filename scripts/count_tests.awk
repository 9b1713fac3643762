# Reads the output of ctest -V. A program that prints TAP counts a case for each "ok" and "not ok"; one that does
# not is one case; one that stops before its end is one more failure.

function result(number, name, outcome, seconds,    cases, line) {
    cases = ok[number] + bad[number] + skip[number]
    if (outcome == "Passed") {
        if (cases == 0)
            ok[number]++
    } else if (outcome == "Skipped" || outcome == "Not") {
        skip[number]++
    } else if (bad[number] == 0) {
        bad[number]++
    }
    passed += ok[number]
    failed += bad[number]
    skipped += skip[number]
    printf "%-7s %-44s %4d cases %8.2f s\n", bad[number] ? "FAILED" : (outcome == "Passed" ? "ok" : "skipped"), name,
        ok[number] + bad[number] + skip[number], seconds
    if (bad[number])
        failures = failures "\n---- " name " (" outcome ")\n" text[number]
}

# "12: line of output"
match($0, /^[0-9]+: /) {
    number = substr($0, 1, RLENGTH - 2)
    line = substr($0, RLENGTH + 1)
    text[number] = text[number] line "\n"
    # cmocka writes "not ok 3 # SKIP name"
    if (line ~ /^(not )?ok [0-9]+.*# *[Ss][Kk][Ii][Pp]/)
        skip[number]++
    else if (line ~ /^ok [0-9]+/)
        ok[number]++
    else if (line ~ /^not ok [0-9]+/)
        bad[number]++
    next
}

# " 3/12 Test #12: unit.test_field ...............   Passed    0.01 sec"
match($0, /Test +#[0-9]+: /) && / sec *$/ {
    head = substr($0, RSTART, RLENGTH)
    gsub(/[^0-9]/, "", head)
    tail = substr($0, RSTART + RLENGTH)
    n = split(tail, word, " ")
    outcome = ""
    for (i = 2; i <= n - 2; i++)
        if (word[i] !~ /^\.+$/ && outcome == "") {
            outcome = word[i]
            sub(/^\.*\**/, "", outcome)
        }
    result(head, word[1], outcome, word[n - 1])
    next
}

/^(CMake Error|ctest: |No tests were found|Errors while running)/ {
    if ($0 !~ /^Errors while/)
        problems = problems $0 "\n"
}

END {
    if (failures != "")
        print failures
    if (problems != "")
        printf "%s", problems
    if (code != 0 && failed == 0)
        failed = 1
    printf "%d passed, %d failed%s\n", passed, failed, skipped ? sprintf(", %d skipped", skipped) : ""
    exit failed > 0 ? 1 : 0
}
