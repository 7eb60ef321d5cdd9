"""The bank of questions: what is asked, in a terminal, in a notebook and on paper."""
