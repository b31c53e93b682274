package oktaretry


