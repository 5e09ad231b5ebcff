"""The web app: jobs that run `star restore`, and a page that shows them."""
