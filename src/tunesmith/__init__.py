"""tunesmith"""
