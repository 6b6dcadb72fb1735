"""The course around the book: assignments made from master notebooks, and the grader. For instructors; readers never need it.

    python -m course make                                   hand-outs, reference solutions, tutors' rules
    python -m course grade FOLDER --out OUT --seed SECRET   grade a folder of submissions
    python -m course site                                   the students' edition of the book, without any solution
    python -m course mirror FOLDER SETS                     data and weights for a class behind a firewall
    python -m course colab                                  every hand-out as Colab runs it, in a fresh environment

    master.py    one master notebook -> the student's notebook, the solution, the grader's tests
    wire.py      values as text between the grader and a student's process
    sandbox.py   what a student's process may do; which of the limits this system enforces
    worker.py    a student's process: runs her cells, calls her functions
    keeper.py    the parent of all student's processes: imports torch once, forks a clean copy for each submission
    examine.py   one submission: calls, deadlines, marks
    batch.py     a folder of submissions: in parallel, resumable
    edition.py   the students' site: filtered copies, and the search for what may not be in them
    guide.py     the tables of the chapter for instructors
    colab.py     the hand-outs, run untouched as Colab runs them
    mirror.py    a folder of data and weights with a digest of each file
    report.py    the table, the feedback pages, Gradescope's files
"""
