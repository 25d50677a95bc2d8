"""Exercises that diagnose: `check`, `hint`, `solution`, `progress`.

    from llmcourse.exercises import check
    check("attention.sdpa", sdpa)

Each chapter's exercises live in the module of its name here, imported when first asked for.
"""
