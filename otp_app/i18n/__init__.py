"""The languages of the app: the English texts, their translations, and the choice of a language."""
