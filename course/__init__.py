"""The course around the book: assignments made from master notebooks, and the grader. For instructors; readers never need it.

    python -m course make                                   hand-outs, reference solutions, tutors' rules
    python -m course grade FOLDER --out OUT --seed SECRET   grade a folder of submissions

    master.py    one master notebook -> the student's notebook, the solution, the grader's tests
    wire.py      values as text between the grader and a student's process
    sandbox.py   what a student's process may do; which of the limits this system enforces
    worker.py    a student's process: runs her cells, calls her functions
    keeper.py    the parent of all student's processes: imports torch once, forks a clean copy for each submission
    examine.py   one submission: calls, deadlines, marks
    batch.py     a folder of submissions: in parallel, resumable
    report.py    the table, the feedback pages, Gradescope's files
"""
