"""Ways out: who sends codes. One adapter each; what is the vendor's ends here."""
